// docs/migrating-users.md: its converters and its import, run as they stand there, on exports of each system.
//
// exports/django.json is what Django 5.2.19 wrote for `dumpdata auth.user`, with earlier dates. The credentials of
// exports/keycloak-users-0.json are those that Keycloak 26.0.7's provider classes made; the file around them, and the
// others, are written by hand as the systems document them.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parseHash } from '../../src/platform/password-hashing/hash-formats.ts';
import { freshEmail } from '../harness.ts';
import { broughtHashes } from './brought-hashes.ts';
import { type ImportWorld, startImportWorld } from './import-world.ts';

jest.setTimeout(60_000);

const run = promisify(execFile);
const page = await readFile('docs/migrating-users.md', 'utf8');
const password = 'Pässwort: correct horse';

let world: ImportWorld;
beforeAll(async () => {
  world = await startImportWorld();
});
afterAll(() => world.close());

/** The shell lines of a section, whole commands. */
const commandsOf = (section: string): string[] => {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, code = '']) => code.trim().split(/(?<!\|)\n(?! )/));
};

/** A folder with the exports under the names that the page gives them. */
async function folderWith(exports: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(world.folder, 'doc-'));
  await symlink(resolve('examples'), join(folder, 'examples'));
  for (const [name, source] of Object.entries(exports)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await cp(join('tests/users-import/exports', source), join(folder, name));
  }
  return folder;
}

/** Runs a section's converter and its import. */
async function migrate(section: string, exports: Record<string, string>) {
  const folder = await folderWith(exports);
  const converter = commandsOf(section).find((command) => command.startsWith('node examples/migrate/')) ?? '';
  expect(converter).not.toBe('');
  await run('sh', ['-c', converter], { cwd: folder });
  expect(commandsOf(section).at(-1)).toBe('npm run cli -- users import users.ndjson');
  const path = join(folder, 'users.ndjson');
  const output = await world.run(path);
  return { ...output, refused: output.code === 3 ? await world.refusedOf(path) : [] };
}

const account = async (email: string) =>
  (
    await world.rows('SELECT display_name, email_verified, is_active, created_at FROM users WHERE email = $1', email)
  )[0];

const status = async (email: string, secret = password) => (await world.app.login(email, secret)).status;

test('Auth0: who had a password there logs in with it here', async () => {
  const exports = { 'hashes.ndjson': 'auth0-hashes.ndjson', 'profiles.ndjson': 'auth0-profiles.ndjson' };
  expect(await migrate('Auth0', exports)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^2 taken/) });
  expect(await account('ada@auth0.example')).toEqual({
    display_name: 'Ada Lovelace',
    email_verified: true,
    is_active: true,
    created_at: new Date('2019-12-06T18:36:12.412Z'),
  });
  expect(await account('grace@auth0.example')).toMatchObject({ display_name: 'Grace Hopper', is_active: false });
  expect(await status('ada@auth0.example')).toBe(200);
  expect(await status('grace@auth0.example')).toBe(401);
});

test('Firebase: who had a password there logs in with it here, and who has no address is named', async () => {
  const exports = { 'users.json': 'firebase.json', 'hash-config.txt': 'firebase-hash-config.txt' };
  const { code, refused } = await migrate('Firebase', exports);
  expect([code, refused.map(({ line }) => line)]).toEqual([3, [4]]);
  expect(await account('ada@firebase.example')).toMatchObject({ email_verified: true, is_active: true });
  expect(await account('grace@firebase.example')).toMatchObject({ display_name: 'grace', is_active: false });
  expect(await account('google@firebase.example')).toMatchObject({ display_name: 'By "Google" {only}' });
  expect(await status('ada@firebase.example', 'user1password')).toBe(200);
  expect(await status('google@firebase.example', 'user1password')).toBe(401);
});

test('Keycloak: who had a password there logs in with it here, whichever kind of hash it was', async () => {
  const { code, refused } = await migrate('Keycloak', { 'export/shop-users-0.json': 'keycloak-users-0.json' });
  expect(code).toBe(3);
  expect(refused).toEqual([{ line: 5, reasons: [expect.stringMatching(/^password_hash: must be a hash of a form/)] }]);
  for (const name of ['sha512', 'sha256', 'argon2']) expect(await status(`${name}@keycloak.example`)).toBe(200);
  expect(await account('federated@keycloak.example')).toMatchObject({ display_name: 'federated', is_active: false });
  expect(await account('sha512@keycloak.example')).toMatchObject({ created_at: new Date(1_700_000_000_000) });
});

test('Django: who had a password there logs in with it here, whichever kind of hash it was', async () => {
  const { code, stdout } = await migrate('Django', { 'users.json': 'django.json' });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^7 taken/)]);
  for (const name of ['ada', 'pbkdf2.sha1', 'argon2', 'bcrypt.sha256', 'scrypt'])
    expect([name, await status(`${name}@example.com`)]).toEqual([name, 200]);
  expect(await account('ada@example.com')).toMatchObject({ display_name: 'Ada Lovelace', email_verified: false });
  for (const name of ['bcrypt', 'nopass']) expect(await status(`${name}@example.com`)).toBe(401);
});

test('Supabase: its SQL writes the file, and who had a password there logs in with it here', async () => {
  // The columns that it reads, with the types that they have in Supabase's auth server.
  await world.app.sql.query(`
    CREATE SCHEMA auth;
    CREATE TABLE auth.users (
      email varchar(255), encrypted_password varchar(255), email_confirmed_at timestamptz, banned_until timestamptz,
      raw_user_meta_data jsonb, created_at timestamptz, deleted_at timestamptz,
      is_anonymous boolean NOT NULL DEFAULT false, is_sso_user boolean NOT NULL DEFAULT false)`);
  const hashes = ['bcrypt 5.0.0', "Firebase, the example in the tests of Supabase's"].map(
    (begin) => broughtHashes.find(({ madeBy }) => madeBy.startsWith(begin))?.hash,
  );
  await world.rows(
    `INSERT INTO auth.users VALUES
      ('ada@supabase.example', $1, now(), NULL, '{"full_name": "Ada \\\\ \\"Lovelace\\""}', '2020-01-02 03:04:05.678+00'),
      ('grace@supabase.example', $2, NULL, 'infinity', '{}', '2020-01-03'),
      ('linked@supabase.example', '', now(), NULL, NULL, '2020-01-04'),
      (NULL, NULL, NULL, NULL, '{"name": "By phone only"}', '2020-01-05')`,
    ...hashes,
  );
  await world.rows(
    `INSERT INTO auth.users VALUES ('gone@supabase.example', $1, now(), NULL, NULL, now(), now())`,
    hashes[0],
  );
  expect(commandsOf('Supabase')).toEqual([
    'psql "$SUPABASE_DB_URL" -At -f examples/migrate/supabase.sql > users.ndjson',
    'npm run cli -- users import users.ndjson',
  ]);
  const { rows } = await world.app.sql.query<string[]>({
    text: await readFile('examples/migrate/supabase.sql', 'utf8'),
    rowMode: 'array',
    types: { getTypeParser: () => String }, // as psql -At prints it
  });
  const path = join(world.folder, 'supabase.ndjson');
  await writeFile(path, rows.map(([line]) => `${line}\n`).join(''));
  expect(await world.run(path)).toMatchObject({ code: 3, stdout: expect.stringMatching(/^3 taken, 1 refused, of 4/) });
  expect(await account('ada@supabase.example')).toEqual({
    display_name: 'Ada \\ "Lovelace"',
    email_verified: true,
    is_active: true,
    created_at: new Date('2020-01-02T03:04:05.678Z'),
  });
  expect(await account('grace@supabase.example')).toMatchObject({ email_verified: false, is_active: false });
  expect(await status('ada@supabase.example')).toBe(200);
  expect(await status('linked@supabase.example')).toBe(401);
});

test('the refused lines are made a file of their own by the command that stands there', async () => {
  const lines = ['one', '{"email":"two@doc.example","display_name":"Two"}', 'three', '', 'five'];
  const path = await world.write(...lines);
  expect((await world.run(path)).code).toBe(3);
  const folder = await folderWith({});
  await cp(path, join(folder, 'users.ndjson'));
  await cp(`${path}.refused.ndjson`, join(folder, 'users.ndjson.refused.ndjson'));
  const command = commandsOf('What it does')[0] ?? '';
  await run('sh', ['-c', command], { cwd: folder });
  expect(await readFile(join(folder, 'mended.ndjson'), 'utf8')).toBe('one\nthree\nfive\n');
});

test('the line that is shown is taken, and each form of the table is one that a known hash has', async () => {
  const shown = /```json\n(\{\n[\s\S]*?\n\})\n```/.exec(page)?.[1] ?? '';
  const line = { ...(JSON.parse(shown) as object), email: freshEmail() };
  expect(await world.run(await world.write(line))).toMatchObject({ code: 0 });
  const forms = [...page.matchAll(/^\| (`[^|]+`[^|]*?) +\| [^|]+\|$/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]*\$[^`]*)`/g)])
    .map(([, form = '']) => /^\$?[\w-]+\$+(v=\d+|ln=|i=|2b)?/.exec(form)?.[0] ?? form);
  expect(forms.length).toBeGreaterThan(10);
  const known = broughtHashes.filter(({ hash }) => parseHash(hash)).map(({ hash }) => hash);
  const isShown = (form: string) => known.some((hash) => hash.startsWith(form));
  // No program here makes $2y$: PHP's has it, and tests/password-login/rehash.test.ts logs in with it.
  expect(forms.filter((form) => !isShown(form))).toEqual(['$2y$']);
});
