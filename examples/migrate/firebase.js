// node examples/migrate/firebase.js users.json hash-config.txt --output users.ndjson
import { z } from 'zod';
import { convertRecords, FatalError, Milliseconds, readText, RecordError, runConverter } from './convert.js';

const Text = z.string().nullish();

const User = z.object({
  email: Text,
  displayName: Text,
  emailVerified: z.boolean().optional(),
  disabled: z.boolean().optional(),
  passwordHash: Text,
  salt: Text,
  createdAt: Milliseconds.optional(),
});

const Base64 = z.string().regex(/^[\w+/-]*={0,2}$/);

const HashConfig = z.object({
  algorithm: z.literal('SCRYPT'),
  base64_signer_key: Base64.min(1),
  base64_salt_separator: Base64,
  rounds: z.string().regex(/^\d+$/),
  mem_cost: z.string().regex(/^\d+$/),
});

/** Firebase exports base64 in the URL-safe alphabet. */
const standardBase64 = (text) => text.replaceAll('-', '+').replaceAll('_', '/');

/** Reads the hash parameters as the console shows them: `name: value,` on each line. */
async function readParameters(path) {
  let text = '';
  for await (const chunk of readText(path)) text += chunk;
  const members = [...text.matchAll(/(\w+): *([^\s,]*)/g)].map(([, name, value]) => [name, value]);
  const { data, error } = HashConfig.safeParse(Object.fromEntries(members));
  if (error) throw new FatalError(`${path}: "${error.issues[0].path.join()}" is missing or invalid.`);
  const [separator, key] = [data.base64_salt_separator, data.base64_signer_key].map(standardBase64);
  return `v=1,n=${data.mem_cost},r=${data.rounds},p=1,ss=${separator},sk=${key}`;
}

function passwordHash({ passwordHash: hash, salt }, parameters) {
  if (!hash) return undefined;
  if (!salt) throw new RecordError('salt: is missing, but the record has a passwordHash');
  return `$fbscrypt$${parameters}$${standardBase64(salt)}$${standardBase64(hash)}`;
}

async function* convertUsers([file, configFile]) {
  const parameters = await readParameters(configFile);
  const convert = (user) => ({
    email: user.email,
    display_name: user.displayName,
    email_verified: user.emailVerified,
    is_active: !user.disabled,
    password_hash: passwordHash(user, parameters),
    created_at: user.createdAt,
  });
  yield* convertRecords(file, { member: 'users', schema: User, convert });
}

await runConverter({ usage: 'firebase.js users.json hash-config.txt', files: [2, 2], convert: convertUsers });
