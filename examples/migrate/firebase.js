// node examples/migrate/firebase.js users.json hash-config.txt > users.ndjson
import { readFile } from 'node:fs/promises';
import { objectsOf, writeUser } from './objects.js';

const [file, configFile] = process.argv.slice(2);
/** As the console shows it: `name: value,` a line. */
const config = Object.fromEntries(
  [...(await readFile(configFile, 'utf8')).matchAll(/(\w+): *([^\s,]+)/g)].map(([, name, value]) => [name, value]),
);
const standard = (base64) => base64.replaceAll('-', '+').replaceAll('_', '/');
const parameters =
  `v=1,n=${config.mem_cost},r=${config.rounds},p=1` +
  `,ss=${standard(config.base64_salt_separator)},sk=${standard(config.base64_signer_key)}`;

for await (const user of objectsOf(file, 'users'))
  await writeUser({
    email: user.email,
    display_name: user.displayName,
    email_verified: user.emailVerified,
    is_active: !user.disabled,
    password_hash: user.passwordHash
      ? `$fbscrypt$${parameters}$${standard(user.salt)}$${standard(user.passwordHash)}`
      : undefined,
    created_at: user.createdAt ? new Date(Number(user.createdAt)).toISOString() : undefined,
  });
