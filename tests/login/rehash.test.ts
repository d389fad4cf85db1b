import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { hash as argon2 } from '@node-rs/argon2';
import { hash as bcrypt } from '@node-rs/bcrypt';
import { password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ ARGON2_MEMORY_KIB: '20480', ARGON2_ITERATIONS: '3', ARGON2_PARALLELISM: '1' });
});
afterAll(() => app.close());

const current = /^\$argon2id\$v=19\$m=20480,t=3,p=1\$/;
const [argon2d, argon2i, argon2id] = [0, 1, 2];
const argon2Of = (algorithm: number, memoryCost: number, timeCost: number, parallelism = 1) =>
  argon2(password, { algorithm, memoryCost, timeCost, parallelism });

/** An account with an imported hash. */
async function accountWith(hash: string): Promise<Account> {
  const account = await app.register();
  await app.db.users.setPasswordHash(account, hash);
  return account;
}

const storedHash = (account: Account) => app.db.users.passwordHash(account);

describe('a weaker imported hash is verified, and the first login replaces it:', () => {
  const imported: [string, () => Promise<string>][] = [
    ...['$2a$', '$2b$', '$2y$'].map((prefix): [string, () => Promise<string>] => [
      `bcrypt ${prefix}`,
      async () => (await bcrypt(password, 4)).replace(/^\$2.\$/, prefix),
    ]),
    ['Argon2id of less memory', () => argon2Of(argon2id ?? 2, 19_456, 3)],
    ['Argon2id of fewer iterations', () => argon2Of(argon2id ?? 2, 20_480, 2)],
    ['Argon2i', () => argon2Of(argon2i ?? 1, 20_480, 3)],
    ['Argon2d', () => argon2Of(argon2d ?? 0, 20_480, 3)],
  ];

  test.each(imported)('%s', async (_format, make) => {
    const hash = await make();
    const account = await accountWith(hash);
    expect((await app.login(account.email, `${password}r`)).status).toBe(401);
    expect(await storedHash(account)).toBe(hash);

    const first = await app.login(account.email);
    expect(first.status).toBe(200);
    const replaced = await storedHash(account);
    expect(replaced).toMatch(current);

    expect((await app.login(account.email)).status).toBe(200);
    expect(await storedHash(account)).toBe(replaced);
    expect((await app.login(account.email, `${password}r`)).status).toBe(401);
    // A rehash is not a password change, so existing sessions stay live.
    expect((await app.get('/me', account.access_token)).status).toBe(200);
    expect((await app.refresh(first.body.refresh_token)).status).toBe(200);
  });
});

test('a bcrypt hash of another tool is verified (known answer)', async () => {
  const account = await accountWith('$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW');
  expect((await app.login(account.email, 'U*U*')).status).toBe(401);
  expect((await app.login(account.email, 'U*U')).status).toBe(200);
});

test('a bcrypt hash is not replaced if the password is longer than bcrypt uses', async () => {
  const long = 'zq7'.repeat(30);
  const hash = await bcrypt(long, 4);
  const account = await accountWith(hash);
  expect((await app.login(account.email, `${long.slice(0, 72)} and a slip`)).status).toBe(200);
  expect((await app.login(account.email, long)).status).toBe(200);
  expect(await storedHash(account)).toBe(hash);
});

test.each([
  ['of the configured cost', 20_480, 3, 1],
  ['of more memory', 32_768, 3, 1],
  ['of more iterations', 20_480, 4, 1],
  ['of more lanes', 20_480, 3, 2],
])('an Argon2id hash %s is not replaced', async (_title, memory, iterations, parallelism) => {
  const hash = await argon2Of(argon2id ?? 2, memory, iterations, parallelism);
  const account = await accountWith(hash);
  expect((await app.login(account.email)).status).toBe(200);
  expect(await storedHash(account)).toBe(hash);
});

test('a refused login does not replace the hash', async () => {
  const hash = await bcrypt(password, 4);
  const account = await accountWith(hash);
  const unheldScope = await app.post('/login', { email: account.email, password, scope: 'users:write' });
  expect(unheldScope.status).toBe(400);
  await app.db.users.disable(account);
  expect((await app.login(account.email)).status).toBe(401);
  expect(await storedHash(account)).toBe(hash);
});

test('thirty concurrent logins during a rehash succeed', async () => {
  const account = await accountWith(await bcrypt(password, 4));
  const responses = await Promise.all(Array.from({ length: 30 }, () => app.login(account.email)));
  expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
  expect(await storedHash(account)).toMatch(current);
  const live = await Promise.all(responses.map(({ body }) => app.get('/me', body.access_token)));
  expect(live.map(({ status }) => status)).toEqual(responses.map(() => 200));
});

test('deleting an account and changing a password verify an imported hash', async () => {
  const account = await accountWith(await bcrypt(password, 4));
  const change = { current_password: password, new_password: 'a quieter mare and no battery' };
  expect((await app.post('/me/password', change, account.access_token)).status).toBe(204);
  expect(await storedHash(account)).toMatch(current);

  const other = await accountWith(await bcrypt(password, 4));
  expect((await app.post('/me/delete', { current_password: password }, other.access_token)).status).toBe(204);
});
