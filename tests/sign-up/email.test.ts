import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const unique = () => randomBytes(4).toString('hex');
const register = (email: unknown) => app.post('/register', { email, password, display_name: 'Grace Hopper' });

async function rowCount(): Promise<unknown> {
  const { rows } = await app.sql.query(
    'SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM sessions) AS sessions',
  );
  return rows[0];
}

describe('an email address', () => {
  test('is trimmed and converted to lower case before it is stored and compared', async () => {
    const local = `Grace.${unique()}`;
    const response = await register(`\t ${local}@EXAMPLE.Com \n`);
    expect(response.status).toBe(201);
    expect(response.body.user.email).toBe(`${local.toLowerCase()}@example.com`);

    for (const spelling of [local.toUpperCase(), `  ${local}`, `\r\n${local.toLowerCase()}`]) {
      expect((await register(`${spelling}@example.com `)).status).toBe(409);
      const login = await app.login(`${spelling}@Example.COM\t`);
      expect(login.status).toBe(200);
      expect((await app.get('/me', login.body.access_token)).body.id).toBe(response.body.user.id);
    }
  });

  test('with another tag, dot or domain is another address', async () => {
    const local = `mo.re.${unique()}`;
    const addresses = [
      `${local}@example.com`,
      `${local}+tag@example.com`,
      `${local}+other@example.com`,
      `${local.replaceAll('.', '')}@example.com`,
      `${local}@mail.example.com`,
    ];
    const ids = new Set<string>();
    for (const address of addresses) {
      const response = await register(address);
      expect(response.status).toBe(201);
      expect(response.body.user.email).toBe(address);
      ids.add(response.body.user.id);
    }
    expect(ids.size).toBe(addresses.length);
  });
});

describe('an address that only looks like that of an account can neither register nor log in:', () => {
  let victim: Account;
  beforeAll(async () => {
    const email = `kassi.fi.${unique()}@example.com`;
    victim = { ...((await register(email)).body as Account), email };
  });

  const lookAlikes: [string, (email: string) => string][] = [
    ['dotless i', (email) => email.replace('i', '\u0131')],
    ['capital I with a dot', (email) => email.replace('i', '\u0130')],
    ['long s', (email) => email.replace('s', '\u017F')],
    ['sharp s', (email) => email.replace('ss', '\u00DF')],
    ['Kelvin sign', (email) => email.replace('k', '\u212A')],
    ['ligature fi', (email) => email.replace('fi', '\uFB01')],
    ['full-width at sign', (email) => email.replace('@', '\uFF20')],
    ['full-width letter', (email) => email.replace('k', '\uFF4B')],
    ['full-width dot', (email) => email.replace('.com', '\uFF0Ecom')],
    ['ideographic full stop', (email) => email.replace('.com', '\u3002com')],
    ['combining accent', (email) => email.replace('a', 'a\u0301')],
    ['composed accent', (email) => email.replace('a', '\u00E1')],
    ['Cyrillic a', (email) => email.replace('a', '\u0430')],
    ['Cyrillic a in the domain', (email) => email.replace('example', 'ex\u0430mple')],
    ['zero-width space', (email) => email.replace('@', '\u200B@')],
    ['zero-width space at the end', (email) => `${email}\u200B`],
    ['zero-width non-joiner', (email) => email.replace('@', '\u200C@')],
    ['zero-width joiner', (email) => email.replace('a', 'a\u200D')],
    ['zero-width no-break space', (email) => email.replace('a', 'a\uFEFF')],
    ['word joiner', (email) => email.replace('a', 'a\u2060')],
    ['soft hyphen', (email) => email.replace('a', 'a\u00AD')],
    ['right-to-left override', (email) => `\u202E${email}`],
    ['internationalized domain', (email) => email.replace('example', 'ex\u00E4mple')],
    ['NUL', (email) => `${email}\0`],
    ['space inside', (email) => email.replace('@', ' @')],
    ['comment', (email) => email.replace('@', '(x)@')],
    ['quotes', (email) => email.replace(/^[^@]+/, '"$&"')],
    ['display form', (email) => `Kassi <${email}>`],
    ['second address', (email) => `${email},eve@example.com`],
    ['header injection', (email) => `${email}\r\nBcc: eve@example.com`],
    ['root dot', (email) => `${email}.`],
  ];

  test.each(lookAlikes)('%s', async (_name, disguise) => {
    const email = disguise(victim.email);
    expect(email).not.toBe(victim.email);
    const before = await rowCount();
    for (const response of [await register(email), await app.login(email)]) {
      expect(response.status).toBe(400);
      expect(response.body).toMatchObject({ code: 'validation_failed', errors: [{ path: 'email' }] });
      expect(response.body.errors).toHaveLength(1);
      expect(response.text).not.toContain(victim.user.id);
    }
    expect(await rowCount()).toEqual(before);
  });

  test('but the address of the account can log in', async () => {
    expect((await app.login(victim.email)).status).toBe(200);
  });
});

test('an internationalized domain is accepted in its ASCII form', async () => {
  const response = await register(`${unique()}@XN--exmple-cua.com`);
  expect(response.status).toBe(201);
  expect(response.body.user.email).toMatch(/@xn--exmple-cua\.com$/);
});

describe('the maximum length of', () => {
  const local = (length: number) => unique().padEnd(length, 'x');

  test('a local part is 64 characters', async () => {
    expect((await register(`${local(64)}@example.com`)).status).toBe(201);
    expect((await register(`${local(65)}@example.com`)).status).toBe(400);
  });

  test('an address is 254 characters without the surrounding white space', async () => {
    const longest = `${local(64)}@${'a'.repeat(61)}.${'b'.repeat(61)}.${'c'.repeat(61)}.com`;
    expect(longest).toHaveLength(254);
    expect((await register(`  ${longest}  `)).status).toBe(201);
    const tooLong = longest.replace('.com', 'c.com');
    expect(tooLong).toHaveLength(255);
    expect((await register(tooLong)).status).toBe(400);
  });

  test('a label of the domain is 63 characters', async () => {
    expect((await register(`${local(8)}@${'a'.repeat(63)}.com`)).status).toBe(201);
    expect((await register(`${local(8)}@${'a'.repeat(64)}.com`)).status).toBe(400);
  });
});

test.each([
  ['ada', '@example.com', 'ada@', 'ada@@example.com', 'a@b@example.com', 'ada@example', 'ada@.com', 'ada@example..com'],
  ['a..b@example.com', '.a@example.com', 'a.@example.com', 'ada@-example.com', 'ada@example-.com', 'ada@[127.0.0.1]'],
  [7, null, true, ['ada@example.com'], { $ne: null }, ''],
])('invalid addresses are refused: %j …', async (...malformed) => {
  const before = await rowCount();
  for (const email of malformed) {
    const response = await register(email);
    expect([email, response.status]).toEqual([email, 400]);
    expect(response.body.errors).toEqual([{ path: 'email', message: expect.any(String) }]);
  }
  expect(await rowCount()).toEqual(before);
});
