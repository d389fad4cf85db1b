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

  test('takes the password, sessions, API keys and links of an existing account and prints a link', async () => {
    const stranger = await app.register();
    const { token: verification } = await app.nextEmail(stranger.email);
    expect((await app.post('/verify-email', { token: verification })).status).toBe(204); // the owner of the address clicks
    const key = await app.apiKeyOf(stranger, ['profile']);
    await app.post('/forgot-password', { email: stranger.email });
    const { token: pending } = await app.nextEmail(stranger.email);

    const { code, stdout, stderr } = await run([stranger.email]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('is now an administrator');
    expect(stdout).toContain('no longer work: the password, 2 sessions, 1 API key, emailed links.');
    expect((await app.login(stranger.email)).status).toBe(401);
    expect((await app.refresh(stranger.refresh_token)).status).toBe(401);
    expect((await app.get('/me', stranger.access_token)).status).toBe(401);
    expect((await app.call('get', '/me', { headers: { 'x-api-key': key.client_secret } })).status).toBe(401);
    const next = 'a quieter mare and no battery';
    expect((await app.post('/reset-password', { token: pending, new_password: next })).status).toBe(400);
    expect((await app.post('/reset-password', { token: tokenIn(stdout), new_password: next })).status).toBe(204);
    expect((await login(stranger.email, next)).body.scope).toBe(adminScopes);

    const events = await app.db.audit.events({ user_id: stranger.user.id });
    expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual(
      expect.arrayContaining(['account.reclaimed cli', 'api_key.revoked reclaimed', 'role.granted cli']),
    );
    expect(await app.db.select('sessions', { id: stranger.session_id })).toMatchObject([
      { revoked_reason: 'reclaimed' },
    ]);
  });

  test('takes an undo link, with which the former address could take the account back', async () => {
    const account = await app.verifiedUser();
    const newEmail = freshEmail();
    await app.post('/me/email', { new_email: newEmail, current_password: password }, account.access_token);
    await app.post('/verify-email', { token: (await app.nextEmail(newEmail)).token });
    const { token: undo } = await app.nextEmail(account.email);
    expect((await run([newEmail])).code).toBe(0);
    expect((await app.post('/undo-email-change', { token: undo })).status).toBe(400);
    expect((await app.db.users.get(account)).email).toBe(newEmail);
  });

  test('accepts an existing account with an unverified address, whose owner the link verifies', async () => {
    const unverified = await app.register();
    const { code, stdout } = await run([unverified.email]);
    expect(code).toBe(0);
    expect((await login(unverified.email, password)).status).toBe(401);
    const body = { token: tokenIn(stdout), new_password: password };
    expect((await app.post('/reset-password', body)).status).toBe(204);
    expect((await app.db.users.get(unverified)).email_verified).toBe(true);
  });

  test.each([
    ['verified', 'keeps its password, sessions and API keys.\n'],
    ['unverified', 'The email address is not verified'],
  ])('keeps the credentials of an existing %s account with --keep-credentials', async (state, message) => {
    const ada = state === 'verified' ? await app.verifiedUser() : await app.register();
    const key = await app.apiKeyOf(ada, ['profile']);
    const { code, stdout } = await run([ada.email, '--keep-credentials']);
    expect([code, tokenIn(stdout)]).toEqual([0, undefined]);
    expect(stdout).toContain(message);
    expect((await login(ada.email, password)).body.scope).toBe(adminScopes);
    expect((await app.refresh(ada.refresh_token)).status).toBe(200);
    expect((await app.call('get', '/me', { headers: { 'x-api-key': key.client_secret } })).status).toBe(200);
    expect(await app.db.audit.types({ user_id: ada.user.id, type: 'account.reclaimed' })).toEqual([]);
  });

  test('changes nothing about an account that is an administrator already', async () => {
    const admin = await app.admin();
    const { code, stdout } = await run([admin.email]);
    expect([code, tokenIn(stdout)]).toEqual([0, undefined]);
    expect(stdout).toContain('is already an administrator. Nothing was changed.');
    expect((await app.get('/admin/users', admin.token)).status).toBe(200);
  });

  test('removes the credentials before a concurrent login, API key or reset of the stranger takes effect', async () => {
    for (let round = 0; round < 5; round += 1) {
      const stranger = await app.register();
      await app.emails();
      await app.post('/forgot-password', { email: stranger.email });
      const { token: pending } = await app.nextEmail(stranger.email);
      const access = await app.tokenOf(stranger, 'profile api-keys');
      const [, session, key] = await Promise.all([
        run([stranger.email]),
        app.login(stranger.email),
        app.post('/api-keys', { name: 'Stay', scopes: ['profile'] }, access),
        app.refresh(stranger.refresh_token),
      ]);
      expect((await app.post('/reset-password', { token: pending, new_password: password })).status).toBe(400);
      expect((await app.get('/me', (session.body as { access_token?: string }).access_token)).status).toBe(401);
      const headers = { 'x-api-key': (key.body as { client_secret?: string }).client_secret ?? 'none' };
      expect((await app.call('get', '/me', { headers })).status).toBe(401);
      expect(await app.db.count('sessions', { user_id: stranger.user.id, revoked_at: null })).toBe(0);
      expect(await app.db.count('api_keys', { user_id: stranger.user.id })).toBe(0);
    }
  });

  test('emails the owner of an existing account the link and the revoked API keys, if SMTP_URL is set', async () => {
    const smtp = { SMTP_URL: 'smtp://localhost' };
    const [ada, kept, silent] = [await app.verifiedUser(), await app.verifiedUser(), await app.verifiedUser()];
    await app.emails();
    const key = await app.apiKeyOf(ada, ['profile']);
    const { stdout } = await run([ada.email], smtp);
    await run([kept.email, '--keep-credentials'], smtp);
    await run([silent.email]);
    const notice = await app.nextEmail(ada.email);
    expect([notice.subject, notice.token]).toEqual(['You are now an administrator', tokenIn(stdout)]);
    expect(notice.text).toContain(`- Test (${key.client_secret.slice(0, 16)}…)`);
    const keptNotice = await app.nextEmail(kept.email);
    expect([keptNotice.subject, keptNotice.link]).toEqual(['You are now an administrator', undefined]);
    await expect(app.nextEmail(silent.email)).rejects.toThrow('no email was sent');
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
    ['a missing email address', [], {}, 2, /^Usage[^]+\nEMAIL is missing\.\n$/],
    ['a password', [freshEmail(), '--password', 'x'], {}, 2, /^Usage[^]+\nUnknown option '--password'\.\n$/],
    ['two email addresses', [freshEmail(), 'b@example.com'], {}, 2, /\nUnexpected argument 'b@example\.com'\.\n$/],
    ['an unknown option', [freshEmail(), '--unverified'], {}, 2, /\nUnknown option '--unverified'\.\n$/],
    [
      'two names',
      [freshEmail(), '--name', 'A', '--name', 'B'],
      {},
      2,
      /\nOption '--name' is given more than once\.\n$/,
    ],
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
