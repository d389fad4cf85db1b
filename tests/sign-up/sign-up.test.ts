import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { freshEmail, password, startApp, type Settings, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const MASTER_KEYS = Buffer.alloc(32, 7).toString('base64url');
const uuid7 = expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
const utcTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ MASTER_KEYS });
});
afterAll(() => app.close());

const registration = (members: Record<string, unknown> = {}) => ({
  email: freshEmail(),
  password,
  display_name: 'Ada Lovelace',
  ...members,
});
const register = (members: Record<string, unknown> = {}) => app.post('/register', registration(members));

async function count(table: string, where = 'true', values: unknown[] = []): Promise<number> {
  const { rows } = await app.sql.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE ${where}`, values);
  return rows[0]?.n ?? -1;
}

/** Runs another instance of the service on the same database. */
async function withSibling(settings: Settings, use: (sibling: TestApp) => Promise<void>) {
  const sibling = await startApp({ MASTER_KEYS, ...settings }, { databaseUrl: app.databaseUrl });
  await use(sibling).finally(() => sibling.close());
}

test('a registration returns the account, valid tokens and nothing else', async () => {
  const email = freshEmail();
  const response = await register({ email });

  expect(response.status).toBe(201);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
  expect(response.headers['set-cookie']).toBeUndefined();
  expect(response.body).toEqual({
    user: {
      id: uuid7,
      email,
      email_verified: false,
      display_name: 'Ada Lovelace',
      roles: ['user'],
      scopes: ['api-keys', 'profile', 'sessions'],
      mfa_enabled: false,
      created_at: utcTime,
      updated_at: utcTime,
    },
    access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    token_type: 'Bearer',
    expires_in: 900,
    refresh_token: expect.stringMatching(/^ktr_[\w-]{91}$/),
    refresh_expires_in: expect.any(Number),
    scope: 'profile sessions',
    session_id: uuid7,
  });
  expect(response.body.refresh_expires_in).toBeLessThanOrEqual(2_592_000);
  expect(response.body.refresh_expires_in).toBeGreaterThan(2_592_000 - 30);

  const { access_token: token, refresh_token: refreshToken, user } = response.body;
  expect((await app.get('/me', token)).body).toEqual(user);
  expect((await app.refresh(refreshToken)).status).toBe(200);
});

test('a new account has only the role user, and its token has no elevated scopes', async () => {
  const { access_token: token, user } = await app.register();
  expect(decodeJwt(token)).toMatchObject({ sub: user.id, roles: ['user'], scope: 'profile sessions' });
  const { rows } = await app.sql.query('SELECT role FROM user_roles WHERE user_id = $1', [user.id]);
  expect(rows).toEqual([{ role: 'user' }]);
});

test('a registration is audited without the email address', async () => {
  const { user, session_id: sessionId, email } = await app.register();
  const { rows } = await app.sql.query('SELECT * FROM audit_events WHERE user_id = $1', [user.id]);
  expect(rows).toEqual([
    expect.objectContaining({ type: 'account.registered', outcome: 'success', session_id: sessionId }),
  ]);
  expect(JSON.stringify(rows)).not.toContain(email);
});

test.each([
  ['roles', ['admin']],
  ['is_active', true],
  ['email_verified', true],
  ['id', '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10'],
  ['scope', 'users:write'],
  ['password_hash', 'x'],
])('the privileged or unknown member %s is refused by name and creates no account', async (member, value) => {
  const email = freshEmail();
  const response = await register({ email, [member]: value });
  expect(response.status).toBe(400);
  expect(response.body).toMatchObject({
    code: 'validation_failed',
    errors: [{ path: member, message: expect.any(String) }],
  });
  expect(await count('users', 'email = $1', [email])).toBe(0);
});

test('all errors of a body are listed together', async () => {
  const invalid = { email: 'ada', password: '', display_name: ' ', transport: 'pigeon', nickname: 'A' };
  const paths = async (body: unknown) => {
    const response = await app.post('/register', body);
    expect(response.status).toBe(400);
    return (response.body.errors as { path: string }[]).map(({ path }) => path).sort();
  };
  expect(await paths(invalid)).toEqual(['display_name', 'email', 'nickname', 'password', 'transport']);
  const easy = { email: 'ada', password: 'password1', display_name: '' };
  expect(await paths(easy)).toEqual(['display_name', 'email', 'password']);
  expect(await paths({})).toEqual(['display_name', 'email', 'password']);
  expect(await paths({ email: 1, password: null, display_name: ['Ada'] })).toEqual([
    'display_name',
    'email',
    'password',
  ]);
});

test('an address that is taken is refused and its account does not change', async () => {
  const first = await app.register();
  const again = await register({ email: first.email, password: 'a quieter mare and no battery', display_name: 'Eve' });

  expect(again.status).toBe(409);
  expect(again.body).toMatchObject({ code: 'email_taken', status: 409 });
  expect(again.text).not.toContain(first.user.id);
  expect((await app.get('/me', first.access_token)).body).toMatchObject({ display_name: 'Ada Lovelace' });
  expect((await app.login(first.email)).status).toBe(200);
  expect((await app.login(first.email, 'a quieter mare and no battery')).status).toBe(401);
  expect(await count('users', 'email = $1', [first.email])).toBe(1);
});

test('fifty concurrent registrations of one address in different spellings create one account', async () => {
  const email = freshEmail();
  const spellings = [email, email.toUpperCase(), ` ${email}`, `${email}\t`, email.replace('ada', 'aDa')];
  const responses = await Promise.all(
    Array.from({ length: 50 }, (_, n) => register({ email: spellings[n % spellings.length] })),
  );

  const succeeded = responses.filter(({ status }) => status === 201);
  expect(succeeded).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 409)).toHaveLength(49);
  const id = succeeded[0]?.body.user.id;
  expect(await count('users', 'lower(trim(email)) = $1', [email])).toBe(1);
  expect(await count('sessions', 'user_id = $1', [id])).toBe(1);
  expect(await count('audit_events', "type = 'account.registered' AND user_id = $1", [id])).toBe(1);
});

test('closed registration refuses free and taken addresses alike and still allows logins', async () => {
  const { email } = await app.register();
  await withSibling({ REGISTRATION: 'closed' }, async (closed) => {
    const before = await count('users');
    const [taken, free] = [email, freshEmail()].map((address) =>
      closed.post('/register', registration({ email: address })),
    );
    for (const response of [await taken, await free]) {
      expect(response?.status).toBe(403);
      expect(response?.body).toMatchObject({ code: 'registration_closed', status: 403 });
    }
    expect(await count('users')).toBe(before);
    expect((await closed.login(email)).status).toBe(200);
  });
});

test('the only transports are body and cookie', async () => {
  expect((await register({ transport: 'body' })).status).toBe(201);
  const response = await register({ transport: 'header' });
  expect(response.status).toBe(400);
  expect(response.body.errors).toEqual([{ path: 'transport', message: expect.any(String) }]);
});
