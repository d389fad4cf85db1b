// node examples/migrate/keycloak.js export/*-users-*.json > users.ndjson
import { objectsOf, writeUser } from './objects.js';

const digests = { pbkdf2: 'sha1', 'pbkdf2-sha256': 'sha256', 'pbkdf2-sha512': 'sha512' };
const unpadded = (base64) => base64.replace(/=+$/, '');

/** A hash of a kind that is not known here is handed on, so that the import names its line. */
function hashOf({ credentialData, secretData }) {
  const { algorithm, hashIterations, additionalParameters: more = {} } = JSON.parse(credentialData);
  const { value, salt } = JSON.parse(secretData);
  const end = `${unpadded(salt)}$${unpadded(value)}`;
  if (algorithm !== 'argon2') return `$pbkdf2-${digests[algorithm] ?? algorithm}$i=${hashIterations}$${end}`;
  const version = more.version?.[0] === '1.0' ? 16 : 19;
  return `$argon2${more.type?.[0]}$v=${version}$m=${more.memory?.[0]},t=${hashIterations},p=${more.parallelism?.[0]}$${end}`;
}

for (const file of process.argv.slice(2))
  for await (const user of objectsOf(file, 'users')) {
    const password = user.credentials?.find(({ type }) => type === 'password');
    await writeUser({
      email: user.email,
      display_name: [user.firstName, user.lastName].filter(Boolean).join(' ') || user.username,
      email_verified: user.emailVerified,
      is_active: user.enabled,
      password_hash: password && hashOf(password),
      created_at: user.createdTimestamp ? new Date(user.createdTimestamp).toISOString() : undefined,
    });
  }
