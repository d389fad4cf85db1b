// Invariant 6: anything but an exact token of the service is refused before any query and revokes nothing.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { formatToken, makeRatchet } from '../../src/core/sessions/refresh-token.ts';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { bytesOf, granted, rejectionReason, tokenOf } from '../support/refresh-tokens.ts';
import { openRows } from '../support/rows/index.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/tcp-proxy.ts';

const masterKey = randomBytes(32);
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
let database: TestDatabase;
let proxy: PostgresProxy;
let sql: pg.Pool;
let app: TestApp;
/** The current token of a live session. Contains both `-` and `_`. */
let token: string;
let sessionId: string;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startPostgresProxy(database.url);
  sql = new pg.Pool({ connectionString: database.url, max: 2 });
  // Without a grace period, rotations are not limited.
  const settings = { MASTER_KEYS: masterKey.toString('base64url'), REFRESH_GRACE_PERIOD: '0' };
  app = await startApp(settings, { databaseUrl: proxy.url });
});
afterAll(async () => {
  await app.close();
  await proxy.close();
  await sql.end();
  await database.drop();
});

beforeEach(async () => {
  const account = await app.register();
  [token, sessionId] = [account.refresh_token, account.session_id];
  while (!/-.*_|_.*-/.test(token.slice(4))) token = granted(await app.refresh(token));
});

/** Presents these texts at `/refresh` and `/logout` and reports which were recognized as tokens, and every side effect. */
async function effectOf(texts: readonly string[]) {
  const before = await openRows(sql).sessions.get(sessionId);
  const statements = proxy.statements.length;
  const recognized: string[] = [];
  for (const text of texts) {
    const response = await app.refresh(text);
    if (text === token || response.status !== 401 || rejectionReason(response) !== undefined) recognized.push(text);
    expect((await app.post('/logout', { refresh_token: text })).status).toBe(204);
  }
  const executed = proxy.statements.slice(statements);
  const after = await openRows(sql).sessions.get(sessionId);
  granted(await app.refresh(token));
  expect(proxy.statements.length).toBeGreaterThan(statements + executed.length); // Proves that the proxy counts.
  return { recognized, statements: executed, sessionChanged: after.version !== before.version };
}

const none = { recognized: [], statements: [], sessionChanged: false };

const withCharacter = (index: number, character: string) => token.slice(0, index) + character + token.slice(index + 1);

test('every change of a single character is refused without a query, and the session stays live (invariant 6)', async () => {
  const changes = token.split('').flatMap((character, index) => {
    const place = alphabet.indexOf(character);
    const replacements =
      index === token.length - 1 ? alphabet : [1, 2, 32].map((step) => alphabet.charAt((place + step) % 64)).join('');
    return [...replacements.split(''), '=', ' ', '\u0000', 'é']
      .filter((other) => other !== character)
      .map((other) => withCharacter(index, other));
  });
  expect(changes.length).toBeGreaterThan(95 * 6);
  expect(await effectOf(changes)).toEqual(none);
}, 30_000);

test('every other encoding of the same bytes is refused (invariant 6)', async () => {
  const bytes = bytesOf(token);
  const lastPlace = alphabet.indexOf(token.at(-1) ?? '');
  const strayBits = alphabet.split('').filter((_, place) => place !== lastPlace && place >> 4 === lastPlace >> 4);
  const aliases = [
    ...strayBits.map((character) => withCharacter(token.length - 1, character)),
    ...['=', '==', ' ', '\n', '\r\n', '\t', '\u0000', '.'].flatMap((extra) => [token + extra, extra + token]),
    ...['=', ' ', '\n'].map((extra) => token.slice(0, 40) + extra + token.slice(40)),
    token.replaceAll('-', '+'),
    token.replaceAll('_', '/'),
    `ktr_${bytes.toString('base64')}`,
    `ktr_${bytes.toString('base64').replace(/=+$/, '')}`,
    `ktr_${bytes.toString('hex')}`,
  ];
  expect(aliases.filter((alias) => bytesOf(alias).equals(bytes)).length).toBeGreaterThan(12);
  expect(await effectOf(aliases)).toEqual(none);
});

test('truncated, extended and empty tokens and tokens with another prefix are refused (invariant 6)', async () => {
  const { access_token: access } = (await app.register()) as { access_token: string };
  expect(
    await effectOf([
      ...Array.from({ length: token.length }, (_, length) => token.slice(0, length)),
      ...['A', 'AA', 'AAAA', token, token.slice(4)].map((tail) => token + tail),
      ...['ktk_', 'kto_', 'KTR_', 'ktr-', '', 'ktr_ktr_', 'Bearer ktr_'].map((prefix) => prefix + token.slice(4)),
      access,
    ]),
  ).toEqual(none);
});

test('forged tokens for a known session id are refused, also those made of parts of genuine tokens (invariant 6)', async () => {
  const other = await app.register();
  const [mine, others] = [bytesOf(token), bytesOf(other.refresh_token)];
  const part = (source: Buffer, from: number, to: number) => source.subarray(from, to);
  const nextGeneration = Buffer.from(mine);
  nextGeneration.writeUInt32BE(mine.readUInt32BE(16) + 1, 16);
  expect(
    await effectOf(
      [
        Buffer.concat([part(mine, 0, 16), randomBytes(52)]),
        Buffer.concat([part(mine, 0, 20), randomBytes(48)]),
        Buffer.concat([part(mine, 0, 52), randomBytes(16)]),
        Buffer.concat([part(mine, 0, 52), Buffer.alloc(16)]),
        Buffer.concat([part(others, 0, 16), part(mine, 16, 68)]),
        Buffer.concat([part(mine, 0, 16), part(others, 16, 68)]),
        Buffer.concat([part(mine, 0, 20), part(others, 20, 68)]),
        Buffer.concat([part(mine, 0, 52), part(others, 52, 68)]),
        nextGeneration,
      ].map(tokenOf),
    ),
  ).toEqual(none);
});

test('a token with the MAC of an unknown master key is refused (invariant 6)', async () => {
  const genuine = makeRatchet(deriveMasterKeys([masterKey])).parse(token);
  const [otherKey] = deriveMasterKeys([randomBytes(32)]);
  if (!genuine) throw new Error('the token of the service cannot be parsed');
  expect(formatToken(genuine)).toBe(token);
  expect(await effectOf([formatToken({ ...genuine, key: otherKey })])).toEqual(none);
});
