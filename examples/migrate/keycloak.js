// node examples/migrate/keycloak.js export/shop-users-*.json --output users.ndjson
import { z } from 'zod';
import { convertRecords, Milliseconds, runConverter } from './convert.js';

const Text = z.string().nullish();

const User = z.object({
  email: Text,
  username: Text,
  firstName: Text,
  lastName: Text,
  emailVerified: z.boolean().optional(),
  enabled: z.boolean().optional(),
  createdTimestamp: Milliseconds.nullish(),
  credentials: z.array(z.looseObject({ type: Text })).nullish(),
});

const digests = { pbkdf2: 'sha1', 'pbkdf2-sha256': 'sha256', 'pbkdf2-sha512': 'sha512' };
const Algorithm = z.enum([...Object.keys(digests), 'argon2'], { error: 'is missing or not supported' });
const Filled = z.string('is missing').min(1, 'is missing');

const jsonText = (schema) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'is not valid JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);

const Credential = z
  .object({
    credentialData: jsonText(
      z.object({ algorithm: Algorithm, hashIterations: z.int(), additionalParameters: z.looseObject({}).nullish() }),
    ),
    secretData: jsonText(z.object({ value: Filled, salt: Filled })),
  })
  .transform(({ credentialData, secretData }) => ({ ...credentialData, ...secretData }));

/** The form of releases before 8. Some of them omitted the algorithm or named it HmacSHA1. */
const OldCredential = z
  .object({
    algorithm: z.preprocess((name) => (name == null || name === 'HmacSHA1' ? 'pbkdf2' : name), Algorithm),
    hashIterations: z.int(),
    hashedSaltedValue: Filled,
    salt: Filled,
  })
  .transform(({ hashedSaltedValue, ...rest }) => ({ ...rest, value: hashedSaltedValue }));

/** Keycloak stores each parameter as a list of one value. */
const single = (schema) => z.tuple([schema]).transform(([value]) => value);
const Digits = z.string().regex(/^\d+$/);
const versionNumbers = { '1.0': 16, 1.3: 19 };

const Argon2 = z.object({
  additionalParameters: z.object({
    type: single(z.enum(['id', 'i', 'd'])),
    version: single(z.enum(Object.keys(versionNumbers))).default('1.3'),
    memory: single(Digits),
    parallelism: single(Digits),
  }),
});

const unpadded = (base64) => base64.replace(/=+$/, '');

function passwordHash(credential) {
  const isOld = credential.credentialData == null && credential.secretData == null;
  const hash = (isOld ? OldCredential : Credential).parse(credential);
  const { algorithm, hashIterations, salt, value } = hash;
  const end = `${unpadded(salt)}$${unpadded(value)}`;
  if (algorithm !== 'argon2') return `$pbkdf2-${digests[algorithm]}$i=${hashIterations}$${end}`;
  const { type, version, memory, parallelism } = Argon2.parse(hash).additionalParameters;
  return `$argon2${type}$v=${versionNumbers[version]}$m=${memory},t=${hashIterations},p=${parallelism}$${end}`;
}

function convert(user) {
  const password = user.credentials?.find(({ type }) => type === 'password');
  return {
    email: user.email,
    display_name: [user.firstName, user.lastName].filter((name) => name?.trim()).join(' ') || user.username,
    email_verified: user.emailVerified,
    is_active: user.enabled,
    password_hash: password && passwordHash(password),
    created_at: user.createdTimestamp ?? undefined,
  };
}

await runConverter({
  usage: 'keycloak.js export/shop-users-*.json',
  files: [1, Infinity],
  async *convert(files) {
    for (const file of files) yield* convertRecords(file, { member: 'users', schema: User, convert });
  },
});
