// Runs the commands of docs/authorization.md and checks its table of scopes.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { ownScopes } from '../../src/core/authorization/scopes.ts';
import { password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const run = promisify(execFile);
const page = await readFile('docs/authorization.md', 'utf8');
const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code = '']) => code);
const masterKeys = randomBytes(32).toString('base64url');

let app: TestApp;
beforeAll(async () => void (app = await startApp({ MASTER_KEYS: masterKeys })));
afterAll(() => app.close());

test('the commands create the first administrator, a custom role and its first holder', async () => {
  const environment = {
    PATH: process.env['PATH'],
    DATABASE_URL: app.databaseUrl,
    MASTER_KEYS: masterKeys,
    ISSUER: app.baseUrl,
    AUTH: app.baseUrl,
    PASSWORD: password,
  };
  const shell = (code: string) => run('sh', ['-euc', code], { env: environment });
  const [createAdmin = '', ...rest] = blocks;
  const { stdout } = await shell(createAdmin);
  const link = new URL(stdout.split('\n').find((line) => line.startsWith('http')) ?? '');
  expect(link.origin + link.pathname).toBe(`${app.baseUrl}/reset-password`);
  const body = { token: link.searchParams.get('token'), new_password: password };
  expect((await app.post('/reset-password', body)).status).toBe(204);
  await app.post('/register', { email: 'ada@example.com', password, display_name: 'Ada Lovelace' });

  expect(rest).toHaveLength(5);
  await shell(rest.join('\n'));
  const ada = (await app.login('ada@example.com')).body;
  expect(ada.scope).toBe('articles:write profile sessions');
  expect((await app.get('/me', ada.access_token)).body.roles).toEqual(['editor', 'user']);
});

test('the table lists every scope of the service and the built-in role that contains it', async () => {
  const rows = [...page.matchAll(/^\| `([\w:-]+)` +\| .*\| `(\w+)` +\|$/gm)].map(
    ([, scope, role]) => `${scope} ${role}`,
  );
  const { rows: roles } = await app.sql.query('SELECT name, scopes FROM roles WHERE built_in');
  const contained = (roles as { name: string; scopes: string[] }[]).flatMap(({ name, scopes }) =>
    scopes.map((scope) => `${scope} ${name}`),
  );
  expect(rows.map((row) => row.split(' ')[0] ?? '').sort()).toEqual(Object.keys(ownScopes).sort());
  expect(rows.sort()).toEqual(contained.sort());
});
