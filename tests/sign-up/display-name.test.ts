import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import request from 'supertest';
import { freshEmail, password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
let account: Account;
beforeAll(async () => {
  app = await startApp();
  account = await app.register();
});
afterAll(() => app.close());

/** The responses of a registration with this name and of a change to it. */
async function bothWays(name: unknown) {
  const registered = await app.post('/register', { email: freshEmail(), password, display_name: name });
  const renamed = await app.call('patch', '/me', { body: { display_name: name }, token: account.access_token });
  return { registered, renamed };
}

test.each([
  ['one letter', 'A'],
  ['100 letters', 'a'.repeat(100)],
  ['100 emoji of two code units each', '🦊'.repeat(100)],
  ['an emoji of several code points', '👩🏽‍🔬 Ada'],
  ['a right-to-left name', 'محمد بن موسى'],
  ['a combining accent', 'Ade\u0301le'],
  ['markup', '<script>alert(1)</script>'],
  ['quotes', `Robert'); DROP TABLE users;--`],
])('a name with %s is stored unchanged', async (_title, name) => {
  const { registered, renamed } = await bothWays(name);
  expect(registered.status).toBe(201);
  expect(registered.body.user.display_name).toBe(name);
  expect(renamed.status).toBe(200);
  expect(renamed.body.display_name).toBe(name);
});

test('white space around a name is removed and does not count', async () => {
  const { registered, renamed } = await bothWays(`\t  ${'b'.repeat(100)} \n`);
  expect(registered.body.user.display_name).toBe('b'.repeat(100));
  expect(renamed.body.display_name).toBe('b'.repeat(100));
});

test.each([
  ['no characters', ''],
  ['spaces only', '   '],
  ['ideographic spaces only', '\u3000\u3000'],
  ['101 letters', 'a'.repeat(101)],
  ['101 emoji', '🦊'.repeat(101)],
  ['NUL', 'Ada\0'],
  ['a line break inside', 'Ada\nLovelace'],
  ['a bell', 'Ada\u0007'],
  ['zero-width spaces only', '\u200B\u200B'],
  ['a Hangul filler only', '\u3164'],
  ['a directional override', 'Ada\u202Eecalevol'],
  ['an escape sequence', '\u001B[31mAda'],
  ['DEL', 'Ada\u007F'],
  ['a C1 control character', 'Ada\u0085Lovelace'],
  ['the type number', 7],
  ['the value null', null],
  ['the type array', ['Ada']],
])('a name with %s is refused', async (_title, name) => {
  const { registered, renamed } = await bothWays(name);
  for (const response of [registered, renamed]) {
    expect(response.status).toBe(400);
    const paths = (response.body.errors as { path: string }[]).map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(['display_name']));
  }
});

test('an unpaired surrogate in a name or password is refused', async () => {
  const post = (body: string) =>
    request(app.baseUrl).post('/register').set('content-type', 'application/json').send(body);
  const written = JSON.stringify({ email: freshEmail(), password, display_name: 'Ada' });
  const inName = await post(written.replace('Ada', 'Ada\\ud83d'));
  const inPassword = await post(written.replace(password, `${password}\\ud83d`));
  expect([inName.status, inName.body.errors?.[0]?.path]).toEqual([400, 'display_name']);
  expect([inPassword.status, inPassword.body.errors?.[0]?.path]).toEqual([400, 'password']);
  expect((await post(written)).status).toBe(201);
});
