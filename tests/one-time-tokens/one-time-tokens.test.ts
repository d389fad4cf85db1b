import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { password, startApp, type TestApp } from '../harness.ts';
import { startStatementTap, type StatementTap } from '../support/statement-tap.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

jest.setTimeout(60_000);

const next = 'a quieter mare and no battery';

let database: TestDatabase;
let tap: StatementTap;
let app: TestApp;
beforeAll(async () => {
  database = await createDatabase();
  tap = await startStatementTap(database.url);
  app = await startApp({}, { databaseUrl: tap.url });
});
beforeEach(() => tap.reset());
afterAll(async () => {
  await app.close();
  await tap.close();
  await database.drop();
});

/** Returns the token of the newest email to an address. */
const tokenFor = async (email: string) => (await app.nextEmail(email)).token ?? '';
const requestReset = async (email: string) => {
  expect((await app.post('/forgot-password', { email })).status).toBe(202);
  // The email of the registration can be sent after it.
  return (await app.emails(email)).findLast(({ link }) => link?.includes('/reset-password'))?.token ?? '';
};
const verify = (token: string) => app.post('/verify-email', { token });
const reset = (token: string, secret = next) => app.post('/reset-password', { token, new_password: secret });
const undo = (token: string) => app.post('/undo-email-change', { token });

const twenty = <Result>(work: (index: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: 20 }, (_, index) => work(index)));

const oneOfTwenty = [204, ...Array.from({ length: 19 }, () => 400)];

test('of 20 concurrent verifications with one token, one succeeds', async () => {
  const { email } = await app.register();
  const token = await tokenFor(email);
  const responses = await twenty(() => verify(token));
  expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual(oneOfTwenty);
  const codes = responses.map(({ body }) => body.code as string | undefined);
  expect(new Set(codes)).toEqual(new Set([undefined, 'invalid_token']));
});

test('of 20 concurrent resets with one token, one sets its password', async () => {
  const { email } = await app.register();
  const token = await requestReset(email);
  const secretOf = (index: number) => `new password number ${index}`;
  const responses = await twenty((index) => reset(token, secretOf(index)));
  expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual(oneOfTwenty);
  const winner = responses.findIndex(({ status }) => status === 204);
  expect((await app.login(email, secretOf(winner))).status).toBe(200);
  expect((await app.login(email, secretOf((winner + 1) % 20))).status).toBe(401);
  expect((await app.login(email)).status).toBe(401);
});

test('a new token invalidates the older one of the same purpose', async () => {
  const { email } = await app.register();
  const first = await tokenFor(email);
  expect((await app.post('/verify-email/resend', { email })).status).toBe(202);
  const second = await tokenFor(email);
  expect(second).not.toBe(first);
  expect((await verify(first)).status).toBe(400);
  expect((await verify(second)).status).toBe(204);
  const [older, newer] = [await requestReset(email), await requestReset(email)];
  expect((await reset(older)).status).toBe(400);
  expect((await reset(newer)).status).toBe(204);
});

test('a token is valid only for its purpose', async () => {
  const { email, user, access_token: token } = await app.register();
  const [verification, passwordReset] = [await tokenFor(email), await requestReset(email)];
  const newEmail = `new.${email}`;
  await app.db.users.markVerified(user.id);
  await app.post('/me/email', { new_email: newEmail, current_password: password }, token);
  const [confirmation, undoToken] = [await tokenFor(newEmail), await tokenFor(email)];
  expect(new Set([verification, passwordReset, confirmation, undoToken]).size).toBe(4);
  for (const other of [passwordReset, undoToken]) expect((await verify(other)).status).toBe(400);
  for (const other of [verification, confirmation, undoToken]) expect((await reset(other)).status).toBe(400);
  for (const other of [verification, confirmation, passwordReset]) expect((await undo(other)).status).toBe(400);
  expect((await verify(verification)).status).toBe(204);
});

test('tokens expire after 24 hours, 1 hour, 1 hour and 72 hours', async () => {
  const { email, user, access_token: token } = await app.register();
  await tokenFor(email);
  await requestReset(email);
  await app.db.users.markVerified(user.id);
  await app.post('/me/email', { new_email: `new.${email}`, current_password: password }, token);
  await tokenFor(email);
  const hours = (await app.db.oneTimeTokens.of(user.id)).map(
    ({ purpose, created_at: created, expires_at: expires }) =>
      [purpose, Math.round((expires.getTime() - created.getTime()) / 3_600_000)] as const,
  );
  expect(Object.fromEntries(hours)).toEqual({ verification: 24, password_reset: 1, email_change: 1, email_undo: 72 });
  const passwordReset = await requestReset(email);
  await app.db.oneTimeTokens.expire(user.id);
  expect((await reset(passwordReset)).body).toMatchObject({ status: 400, code: 'invalid_token' });
});

test('a token that this service did not issue is rejected without a query', async () => {
  const { email } = await app.register();
  const token = await tokenFor(email);
  const flipped = token.slice(0, -1) + (token.endsWith('A') ? 'Q' : 'A');
  const otherPrefix = token.replace('kto_', 'ktk_');
  const random = `kto_${randomBytes(64).toString('base64url')}`;
  tap.reset();
  for (const forged of [flipped, otherPrefix, random, `${token} `, token.toUpperCase(), 'kto_', ''])
    expect((await verify(forged)).body).toMatchObject({ status: 400, code: 'invalid_token' });
  expect((await reset(random)).status).toBe(400);
  expect(tap.statements()).toEqual([]);
  expect((await verify(token)).status).toBe(204);
});

test('the response to an invalid body lists every error', async () => {
  expect(
    (await app.post('/verify-email', { tokn: 'x' })).body.errors.map(({ path }: { path: string }) => path),
  ).toEqual(['token', 'tokn']);
  const { errors } = (await app.post('/reset-password', { token: 7, new_password: 'short' })).body;
  expect(errors.map(({ path }: { path: string }) => path).toSorted()).toEqual(['new_password', 'token']);
  expect((await app.post('/forgot-password', { email: 'invalid' })).status).toBe(400);
  expect((await app.post('/verify-email/resend', {})).status).toBe(400);
});

test('a password change invalidates every link except undo links', async () => {
  const { email, user, access_token: token } = await app.register();
  const [verification, passwordReset] = [await tokenFor(email), await requestReset(email)];
  const newEmail = `new.${email}`;
  await app.db.users.markVerified(user.id);
  await app.post('/me/email', { new_email: newEmail, current_password: password }, token);
  const [confirmation, undoToken] = [await tokenFor(newEmail), await tokenFor(email)];
  expect((await app.post('/me/password', { current_password: password, new_password: next }, token)).status).toBe(204);
  expect((await verify(verification)).status).toBe(400);
  expect((await verify(confirmation)).status).toBe(400);
  expect((await reset(passwordReset)).status).toBe(400);
  expect((await undo(undoToken)).status).toBe(204);
});

test('an email change invalidates the links to the old address', async () => {
  const { email, access_token: token } = await app.register();
  const [verification, passwordReset] = [await tokenFor(email), await requestReset(email)];
  const newEmail = `new.${email}`;
  await app.post('/me/email', { new_email: newEmail, current_password: password }, token);
  expect((await verify(await tokenFor(newEmail))).status).toBe(204);
  expect((await verify(verification)).status).toBe(400);
  expect((await reset(passwordReset)).status).toBe(400);
});

test('tokens of disabled and deleted accounts are invalid', async () => {
  const { email, user } = await app.register();
  const [verification, passwordReset] = [await tokenFor(email), await requestReset(email)];
  await app.db.users.disable(user.id);
  expect((await verify(verification)).status).toBe(400);
  expect((await reset(passwordReset)).status).toBe(400);
  await app.db.users.remove(user.id);
  expect((await verify(verification)).status).toBe(400);
  expect(await app.db.oneTimeTokens.of(user.id)).toEqual([]);
});

test('no table contains a token or its secret', async () => {
  const { email } = await app.register();
  const token = await tokenFor(email);
  const bytes = Buffer.from(token.slice(4), 'base64url');
  const tables = await app.db.server.tables();
  for (const table of tables) {
    const dump = (await app.db.server.textOf(table)).join('\n');
    expect(dump).not.toContain(token);
    expect(dump).not.toContain(bytes.subarray(16, 48).toString('hex'));
  }
  expect(tables.length).toBeGreaterThan(8);
});
