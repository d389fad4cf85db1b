import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { runCli } from '../support/run-cli.ts';
import { adminScopes } from '../support/builders.ts';

jest.setTimeout(60_000);

const masterKeys = randomBytes(32).toString('base64url');
const appUrl = 'https://app.example.com';

let app: TestApp;
beforeAll(async () => void (app = await startApp({ MASTER_KEYS: masterKeys })));
afterAll(() => app.close());

const run = (args: string[], environment: Record<string, string> = {}) =>
  runCli(
    { DATABASE_URL: app.databaseUrl, MASTER_KEYS: masterKeys, APP_URL: appUrl, ...environment },
    'users',
    'create-admin',
    ...args,
  );
const tokenIn = (text: string) => /\/reset-password\?token=(kto_[\w-]+)$/m.exec(text)?.[1];
const login = (email: string, secret: string) => app.post('/login', { email, password: secret, scope: adminScopes });
const countOf = async (sql: string) => ((await app.sql.query(sql)).rows[0] as { n: number }).n;

test('a new database has no accounts', async () => {
  expect(await countOf('SELECT count(*)::int AS n FROM users')).toBe(0);
  for (const email of ['admin@example.com', 'root@localhost.localdomain'])
    for (const secret of ['admin', 'password', ''])
      expect([400, 401]).toContain((await app.login(email, secret)).status);
});

describe('create-admin', () => {
  test('creates an account without a password and prints a link that sets one once', async () => {
    const email = freshEmail();
    const { code, stdout, stderr } = await run([email.toUpperCase(), '--name', 'Grace Hopper']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${appUrl}/reset-password?token=kto_`);
    const { rows } = await app.sql.query('SELECT password_hash FROM users WHERE email = $1', [email]);
    expect(rows[0].password_hash).toMatch(/^!/);
    expect((await login(email, '!')).status).toBe(401);
    expect((await login(email, rows[0].password_hash)).status).toBe(401);

    const body = { token: tokenIn(stdout), new_password: password };
    expect((await app.post('/reset-password', body)).status).toBe(204);
    expect((await app.post('/reset-password', body)).status).toBe(400);
    const session = (await login(email, password)).body;
    expect(session.scope).toBe(adminScopes);
    expect((await app.get('/admin/users', session.access_token)).status).toBe(200);
    const { access_token: token } = (await app.login(email)).body;
    expect((await app.get('/me', token)).body).toMatchObject({
      display_name: 'Grace Hopper',
      email_verified: true,
      roles: ['admin', 'user'],
    });
    const events = await app.sql.query(
      `SELECT type, reason, role FROM audit_events WHERE user_id = (SELECT id FROM users WHERE email = $1)
       ORDER BY occurred_at, id LIMIT 2`,
      [email],
    );
    expect(events.rows).toEqual([
      { type: 'user.created', reason: 'cli', role: null },
      { type: 'role.granted', reason: 'cli', role: 'admin' },
    ]);
  });

  test('prints a new link while the account has no password, which invalidates the previous one', async () => {
    const email = freshEmail();
    const [first, second] = [await run([email]), await run([email])];
    expect(second.stdout).toContain('already');
    const reset = (output: string) => app.post('/reset-password', { token: tokenIn(output), new_password: password });
    expect((await reset(first.stdout)).status).toBe(400);
    expect((await reset(second.stdout)).status).toBe(204);
    const third = await run([email]);
    expect([third.code, tokenIn(third.stdout)]).toEqual([0, undefined]);
  });

  test('makes an existing account an administrator and keeps its password', async () => {
    const ada = await app.register();
    await app.sql.query('UPDATE users SET email_verified = true WHERE id = $1', [ada.user.id]);
    const { code, stdout } = await run([ada.email]);
    expect([code, tokenIn(stdout)]).toEqual([0, undefined]);
    expect((await login(ada.email, password)).body.scope).toBe(adminScopes);
  });

  test('refuses an account with an unverified email address without --unverified', async () => {
    const unverified = await app.register();
    const refused = await run([unverified.email]);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('is not verified');
    expect((await login(unverified.email, password)).status).toBe(400);
    const { rows } = await app.sql.query('SELECT role FROM user_roles WHERE user_id = $1', [unverified.user.id]);
    expect(rows).toEqual([{ role: 'user' }]);
    expect((await run([unverified.email, '--unverified'])).code).toBe(0);
    expect((await login(unverified.email, password)).body.scope).toBe(adminScopes);
    expect((await run([unverified.email])).stdout).toContain('already');
  });

  test('refuses a disabled account', async () => {
    const ada = await app.register();
    await app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [ada.user.id]);
    const { code, stderr } = await run([ada.email]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('is disabled')]);
    const { rows } = await app.sql.query('SELECT role FROM user_roles WHERE user_id = $1', [ada.user.id]);
    expect(rows).toEqual([{ role: 'user' }]);
  });

  test('refuses an email address that is reserved for undoing a change', async () => {
    const ada = await app.register();
    await app.nextEmail(ada.email);
    await app.db.users.markVerified(ada);
    const newEmail = freshEmail();
    const change = { new_email: newEmail, current_password: password };
    expect((await app.post('/me/email', change, ada.access_token)).status).toBe(202);
    const { token } = await app.nextEmail(newEmail);
    expect((await app.post('/verify-email', { token })).status).toBe(204);
    const before = await countOf('SELECT count(*)::int AS n FROM users');
    const { code, stdout, stderr } = await run([ada.email]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Error: \S+ is reserved for an account that can still undo a change/);
    expect(await countOf('SELECT count(*)::int AS n FROM users')).toBe(before);
  });

  test('run twice concurrently creates one account', async () => {
    const email = freshEmail();
    const outputs = await Promise.all([run([email]), run([email])]);
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    expect(await countOf(`SELECT count(*)::int AS n FROM users WHERE email = '${email}'`)).toBe(1);
    expect(
      await countOf(`SELECT count(*)::int AS n FROM user_roles JOIN users ON id = user_id WHERE email = '${email}'`),
    ).toBe(2);
  });

  test.each<[description: string, args: string[], environment: Record<string, string>, code: number, message: RegExp]>([
    ['a missing email address', [], {}, 2, /Usage/],
    ['a password', [freshEmail(), '--password', 'x'], {}, 2, /Usage/],
    ['two email addresses', [freshEmail(), freshEmail()], {}, 2, /Usage/],
    ['an invalid email address', ['ada'], {}, 1, /must be an ASCII email address/],
    ['a blank name', [freshEmail(), '--name', ' '], {}, 1, /must have 1 to 100 characters/],
    ['a missing APP_URL', [freshEmail()], { APP_URL: '' }, 1, /ISSUER or APP_URL is required/],
    ['an invalid APP_URL', [freshEmail()], { APP_URL: 'nonsense' }, 1, /APP_URL must be/],
    ['missing MASTER_KEYS', [freshEmail()], { MASTER_KEYS: '' }, 1, /MASTER_KEYS is required/],
  ])('rejects %s and creates no account', async (_description, args, environment, code, message) => {
    const before = await countOf('SELECT count(*)::int AS n FROM users');
    const output = await run(args, environment);
    expect([output.code, output.stdout]).toEqual([code, '']);
    expect(output.stderr).toMatch(message);
    expect(await countOf('SELECT count(*)::int AS n FROM users')).toBe(before);
  });
});
