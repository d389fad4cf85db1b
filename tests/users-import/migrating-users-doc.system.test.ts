// Runs the commands of docs/migrating-users.md on an export of each system.
//
// Django 5.2.19 wrote exports/django.json with `dumpdata auth.user`; only the dates were changed. The provider classes of
// Keycloak 26.0.7 computed the credentials in exports/keycloak-users-0.json. The rest of that file and the other exports
// are written by hand, following the documentation of each system.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parseHash } from '../../src/platform/password-hashing/hash-formats.ts';
import { freshEmail } from '../harness.ts';
import { foreignHashes } from './foreign-hashes.ts';
import { type ImportHarness, startImportHarness } from './import-harness.ts';

jest.setTimeout(60_000);

const run = promisify(execFile);
const page = await readFile('docs/migrating-users.md', 'utf8');
const password = 'Pässwort: correct horse';

let harness: ImportHarness;
beforeAll(async () => {
  harness = await startImportHarness();
});
afterAll(() => harness.close());

/** Returns the shell commands of a section. */
const commandsOf = (section: string): string[] => {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, code = '']) => code.trim().split(/(?<!\|)\n(?! )/));
};

/** Creates a folder with the exports under the names that the page uses. */
async function folderWith(exports: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(harness.folder, 'doc-'));
  await symlink(resolve('examples'), join(folder, 'examples'));
  for (const [name, source] of Object.entries(exports)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await cp(join('tests/users-import/exports', source), join(folder, name));
  }
  return folder;
}

/** Runs the converter of a section, then the import. */
async function migrate(section: string, exports: Record<string, string>) {
  const folder = await folderWith(exports);
  const converter = commandsOf(section).find((command) => command.startsWith('node examples/migrate/')) ?? '';
  expect(converter).not.toBe('');
  const converted = await run('sh', ['-c', converter], { cwd: folder }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  );
  expect(commandsOf(section).at(-1)).toBe('npm run cli -- users import users.ndjson');
  const path = join(folder, 'users.ndjson');
  const output = await harness.run(path);
  return { ...output, converted, folder, refused: output.code === 3 ? await harness.readRefusedLines(path) : [] };
}

const account = async (email: string) =>
  (
    await harness.rows('SELECT display_name, email_verified, is_active, created_at FROM users WHERE email = $1', email)
  )[0];

const status = async (email: string, secret = password) => (await harness.app.login(email, secret)).status;

test('users exported from Auth0 can log in with their passwords', async () => {
  const exports = { 'hashes.ndjson': 'auth0-hashes.ndjson', 'profiles.ndjson': 'auth0-profiles.ndjson' };
  expect(await migrate('Auth0', exports)).toMatchObject({
    converted: { code: 0 },
    code: 0,
    stdout: expect.stringMatching(/^2 imported/),
  });
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

test('users exported from Firebase can log in with their passwords, and users without an email address are refused', async () => {
  const exports = { 'users.json': 'firebase.json', 'hash-config.txt': 'firebase-hash-config.txt' };
  const { converted, code, refused } = await migrate('Firebase', exports);
  expect(converted.code).toBe(0);
  expect([code, refused.map(({ line }) => line)]).toEqual([3, [4]]);
  expect(await account('ada@firebase.example')).toMatchObject({ email_verified: true, is_active: true });
  expect(await account('grace@firebase.example')).toMatchObject({ display_name: 'grace', is_active: false });
  expect(await account('google@firebase.example')).toMatchObject({ display_name: 'By "Google" {only}' });
  expect(await status('ada@firebase.example', 'user1password')).toBe(200);
  expect(await status('google@firebase.example', 'user1password')).toBe(401);
});

test('users exported from Keycloak can log in with their passwords, and an unsupported hash is skipped', async () => {
  const exports = { 'export/shop-users-0.json': 'keycloak-users-0.json' };
  const { code, stdout, converted, folder } = await migrate('Keycloak', exports);
  expect(converted).toMatchObject({ code: 3, stdout: expect.stringMatching(/^4 converted, 1 skipped/) });
  expect(JSON.parse(await readFile(join(folder, 'users.ndjson.skipped.ndjson'), 'utf8'))).toEqual({
    file: 'export/shop-users-0.json',
    record: 5,
    reasons: ['credentialData.algorithm: is missing or not supported'],
  });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^4 imported/)]);
  for (const name of ['sha512', 'sha256', 'argon2']) expect(await status(`${name}@keycloak.example`)).toBe(200);
  expect(await account('federated@keycloak.example')).toMatchObject({ display_name: 'federated', is_active: false });
  expect(await account('sha512@keycloak.example')).toMatchObject({ created_at: new Date(1_700_000_000_000) });
});

test('users exported from Django can log in with their passwords', async () => {
  const { converted, code, stdout } = await migrate('Django', { 'users.json': 'django.json' });
  expect(converted.code).toBe(0);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^7 imported/)]);
  for (const name of ['ada', 'pbkdf2.sha1', 'argon2', 'bcrypt.sha256', 'scrypt'])
    expect([name, await status(`${name}@example.com`)]).toEqual([name, 200]);
  expect(await account('ada@example.com')).toMatchObject({ display_name: 'Ada Lovelace', email_verified: false });
  for (const name of ['bcrypt', 'nopass']) expect(await status(`${name}@example.com`)).toBe(401);
});

test('users exported from Supabase can log in with their passwords', async () => {
  // The columns that the SQL reads, with the types that Supabase's auth server gives them.
  await harness.app.sql.query(`
    CREATE SCHEMA auth;
    CREATE TABLE auth.users (
      email varchar(255), encrypted_password varchar(255), email_confirmed_at timestamptz, banned_until timestamptz,
      raw_user_meta_data jsonb, created_at timestamptz, deleted_at timestamptz,
      is_anonymous boolean NOT NULL DEFAULT false, is_sso_user boolean NOT NULL DEFAULT false)`);
  const hashes = ['bcrypt 5.0.0', "Firebase, the example in the tests of Supabase's"].map(
    (begin) => foreignHashes.find(({ madeBy }) => madeBy.startsWith(begin))?.hash,
  );
  await harness.rows(
    `INSERT INTO auth.users VALUES
      ('ada@supabase.example', $1, now(), NULL, '{"full_name": "Ada \\\\ \\"Lovelace\\""}', '2020-01-02 03:04:05.678+00'),
      ('grace@supabase.example', $2, NULL, 'infinity', '{}', '2020-01-03'),
      ('linked@supabase.example', '', now(), NULL, NULL, '2020-01-04'),
      (NULL, NULL, NULL, NULL, '{"name": "By phone only"}', '2020-01-05')`,
    ...hashes,
  );
  await harness.rows(
    `INSERT INTO auth.users VALUES ('gone@supabase.example', $1, now(), NULL, NULL, now(), now())`,
    hashes[0],
  );
  expect(commandsOf('Supabase')).toEqual([
    'psql "$SUPABASE_DB_URL" -X -At -v ON_ERROR_STOP=1 -v FETCH_COUNT=1000 -f examples/migrate/supabase.sql \\\n' +
      '  -o users.ndjson.partial && mv users.ndjson.partial users.ndjson',
    'npm run cli -- users import users.ndjson',
  ]);
  const { rows } = await harness.app.sql.query<string[]>({
    text: await readFile('examples/migrate/supabase.sql', 'utf8'),
    rowMode: 'array',
    types: { getTypeParser: () => String }, // like psql -At
  });
  const path = join(harness.folder, 'supabase.ndjson');
  await writeFile(path, rows.map(([line]) => `${line}\n`).join(''));
  expect(await harness.run(path)).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(/^3 imported, 1 refused, of 4/),
  });
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

test('the documented command copies the refused lines to a new file', async () => {
  const lines = ['one', '{"email":"two@doc.example","display_name":"Two"}', 'three', '', 'five'];
  const path = await harness.write(...lines);
  expect((await harness.run(path)).code).toBe(3);
  const folder = await folderWith({});
  await cp(path, join(folder, 'users.ndjson'));
  await cp(`${path}.refused.ndjson`, join(folder, 'users.ndjson.refused.ndjson'));
  const command = commandsOf('The import')[0] ?? '';
  await run('sh', ['-c', command], { cwd: folder });
  expect(await readFile(join(folder, 'corrected.ndjson'), 'utf8')).toBe('one\nthree\nfive\n');
});

test('the example line can be imported, and every documented hash format has a tested hash', async () => {
  const shown = /```json\n(\{\n[\s\S]*?\n\})\n```/.exec(page)?.[1] ?? '';
  const line = { ...(JSON.parse(shown) as object), email: freshEmail() };
  expect(await harness.run(await harness.write(line))).toMatchObject({ code: 0 });
  const forms = [...page.matchAll(/^\| (`[^|]+`[^|]*?) +\| [^|]+\|$/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]*\$[^`]*)`/g)])
    .map(([, form = '']) => /^(?:\{\w+\})?\$?[\w-]+\$+(v=\d+|ln=|i=|2b)?/.exec(form)?.[0] ?? form);
  expect(forms.length).toBeGreaterThan(10);
  const known = foreignHashes.filter(({ hash }) => parseHash(hash)).map(({ hash }) => hash);
  const isShown = (form: string) => known.some((hash) => hash.startsWith(form));
  // PHP writes $2y$; tests/login/rehash.test.ts logs in with such a hash.
  expect(forms.filter((form) => !isShown(form))).toEqual(['$2y$']);
});
