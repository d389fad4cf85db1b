import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { verify } from '@node-rs/argon2';
import { freshEmail, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const register = (password: unknown, members: Record<string, unknown> = {}, service = app) =>
  service.post('/register', { email: freshEmail(), password, display_name: 'Grace Hopper', ...members });

/** Registers with one password and returns the statuses of logins with others. */
async function loginsAfter(password: string, ...others: string[]): Promise<number[]> {
  const email = freshEmail();
  expect((await register(password, { email })).status).toBe(201);
  const statuses: number[] = [];
  for (const other of others) statuses.push((await app.login(email, other)).status);
  return statuses;
}

async function storedHash(email: string, service = app): Promise<string> {
  const { rows } = await service.sql.query('SELECT password_hash AS hash FROM users WHERE email = $1', [email]);
  return rows[0]?.hash;
}

describe('the length of a password counts code points:', () => {
  test.each([
    ['7 letters', 'vexing7', 400],
    ['8 letters', 'vexing7q', 201],
    ['128 letters', 'zq7'.repeat(43).slice(0, 128), 201],
    ['129 letters', 'zq7'.repeat(43), 400],
    ['7 emoji of two code units', '🦊🐙🦉🐢🦋🐌🦔', 400],
    ['8 emoji', '🦊🐙🦉🐢🦋🐌🦔🐝', 201],
    ['128 emoji', '🦊🐙🦉🐢'.repeat(32), 201],
    ['129 emoji', `${'🦊🐙🦉🐢'.repeat(32)}🐝`, 400],
    ['8 code points that NFC makes 7', 'e\u0301vexin7', 400],
    ['nothing', '', 400],
    ['1025 letters', 'zq7x5'.repeat(205), 400],
  ])('%s', async (_title, password, status) => {
    const response = await register(password);
    expect(response.status).toBe(status);
    expect(response.body.errors?.[0]?.path).toBe(status === 400 ? 'password' : undefined);
  });
});

test('PASSWORD_MIN_LENGTH raises the minimum length', async () => {
  const strict = await startApp({ PASSWORD_MIN_LENGTH: '15' });
  const short = await register('🦊🐙🦉🐢🦋🐌🦔🐝vexing', {}, strict);
  expect(short.status).toBe(400);
  expect(short.body.errors).toEqual([{ path: 'password', message: expect.stringContaining('15') }]);
  expect((await register('🦊🐙🦉🐢🦋🐌🦔🐝vexing7', {}, strict)).status).toBe(201);
  await strict.close();
});

describe('a password is used unchanged:', () => {
  test('no kind of character is required', async () => {
    for (const password of [
      'quiet mare without a battery',
      '4815162342108',
      '        x       ',
      '密码是一个很长的句子',
    ])
      expect(await loginsAfter(password, password)).toEqual([200]);
  });

  test('composed and decomposed forms of a text are the same password', async () => {
    expect(await loginsAfter('cafe\u0301 au lait', 'caf\u00E9 au lait', 'cafe au lait')).toEqual([200, 401]);
    expect(await loginsAfter('caf\u00E9 au lait', 'cafe\u0301 au lait')).toEqual([200]);
  });

  test('lookalikes are different passwords', async () => {
    expect(await loginsAfter('ﬁnance ministry', 'finance ministry', 'ﬁnance ministry')).toEqual([401, 200]);
    expect(await loginsAfter('раssing strange', 'passing strange')).toEqual([401]);
  });

  test('surrounding spaces and the case of letters matter', async () => {
    const logins = await loginsAfter(
      ' Vexing Zebra ',
      'Vexing Zebra',
      ' Vexing Zebra',
      ' vexing zebra ',
      ' Vexing Zebra ',
    );
    expect(logins).toEqual([401, 401, 401, 200]);
  });

  test('characters beyond 72 bytes matter', async () => {
    const long = 'zq7'.repeat(42);
    expect(await loginsAfter(`${long}A`, `${long}B`, long, `${long}AA`, `${long}A`)).toEqual([401, 401, 401, 200]);
  });

  test.each([[7], [null], [['correct horse battery staple']], ['pass\0word and more']])(
    '%j is refused',
    async (password) => {
      const response = await register(password);
      expect(response.status).toBe(400);
      expect(response.body.errors).toEqual([{ path: 'password', message: expect.any(String) }]);
    },
  );
});

describe('an easily guessed password is refused with the reason:', () => {
  const identity = { email: 'marvin.minsky+ktn@example.com', display_name: 'Zaphod Beeblebrox' };
  test.each([
    ['common', 'Password1', 'commonly used'],
    ['common, in upper case', 'QWERTYUIOP', 'commonly used'],
    ['the email address', 'marvin.minsky+ktn@example.com', 'email address'],
    ['the local part with a suffix', 'MarvinMinsky1!', 'email address'],
    ['the name', 'zaphod beeblebrox', 'your name'],
    ['the name with other separators', 'Zaphod_Beeblebrox42', 'your name'],
    ['this service', 'Keyturn123', 'this service'],
  ])('%s', async (_title, password, reason) => {
    const response = await register(password, identity);
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([{ path: 'password', message: expect.stringContaining(reason) }]);
    expect(response.text).not.toContain(password);
    const { rows } = await app.sql.query('SELECT 1 FROM users WHERE email = $1', [identity.email]);
    expect(rows).toEqual([]);
  });

  test('all reasons are listed together', async () => {
    const response = await register('Zyxwq7', { email: 'zyxwq@example.com', display_name: 'Zyxwq' });
    expect(response.body.errors).toEqual([
      { path: 'password', message: expect.stringContaining('too short') },
      { path: 'password', message: expect.stringContaining('email address') },
      { path: 'password', message: expect.stringContaining('your name') },
    ]);
  });
});

describe('the database', () => {
  test('contains an Argon2id hash of the NFC form with the configured cost and a random salt', async () => {
    const service = await startApp({ ARGON2_MEMORY_KIB: '20480', ARGON2_ITERATIONS: '3', ARGON2_PARALLELISM: '2' });
    const [one, two] = [freshEmail(), freshEmail()];
    for (const email of [one, two]) expect((await register('cafe\u0301 au lait', { email }, service)).status).toBe(201);
    const hashes = [await storedHash(one, service), await storedHash(two, service)];
    await service.close();

    for (const hash of hashes) {
      expect(hash).toMatch(/^\$argon2id\$v=19\$m=20480,t=3,p=2\$[\w+/]{22}\$[\w+/]{43}$/);
      expect(await verify(hash, 'caf\u00E9 au lait')).toBe(true);
      expect(await verify(hash, 'cafe\u0301 au lait')).toBe(false);
    }
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  test('never contains a password that was registered, refused, tried or changed', async () => {
    const secrets = ['vexing-zebra-kept-9317', 'vexing-zebra-tried-5520', 'vexing-zebra-changed-7781', 'zebra12'];
    const [kept = '', tried = '', changed = '', refused = ''] = secrets;
    const email = freshEmail();
    const { access_token: token } = (await register(kept, { email })).body;
    expect((await app.login(email, tried)).status).toBe(401);
    expect((await register(refused)).status).toBe(400);
    const change = { current_password: kept, new_password: changed };
    expect((await app.post('/me/password', { ...change, current_password: tried }, token)).status).toBe(401);
    expect((await app.post('/me/password', change, token)).status).toBe(204);

    const dump = await dumpOf(app);
    expect(dump).toContain(email); // proves that the search works
    expect(dump).toContain(Buffer.from(await tokenHashOf(email)).toString('hex'));
    for (const secret of secrets) {
      const bytes = Buffer.from(secret);
      const digests = ['sha1', 'sha256', 'sha512', 'md5'].map((name) => createHash(name).update(bytes).digest('hex'));
      for (const trace of [secret, bytes.toString('hex'), bytes.toString('base64').slice(0, -4), ...digests])
        expect(dump).not.toContain(trace);
    }
  });
});

async function tokenHashOf(email: string): Promise<Uint8Array> {
  const { rows } = await app.sql.query(
    'SELECT token_hash FROM sessions JOIN users ON users.id = user_id WHERE email = $1',
    [email],
  );
  return rows[0]?.token_hash;
}

/** Every row of every table as text, bytes in hex. */
async function dumpOf({ sql }: TestApp): Promise<string> {
  const { rows: tables } = await sql.query(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`);
  const parts: string[] = [];
  for (const { name } of tables) {
    const { rows } = await sql.query(`SELECT t::text AS line FROM "${name}" AS t`);
    parts.push(...rows.map(({ line }) => line));
  }
  return parts.join('\n');
}
