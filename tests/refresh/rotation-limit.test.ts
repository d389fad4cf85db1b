// Invariants 13 to 15: no timing of rotations hides reuse, and clients that refresh often keep their session.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { startApp, type TestApp } from '../harness.ts';
import { postForm } from '../support/oauth.ts';
import { generationOf, granted, refreshTimes, rejectionReason } from '../support/refresh-tokens.ts';
import { atOnce } from '../support/workers.ts';

const gracePeriodSeconds = 30;
let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    REFRESH_GRACE_PERIOD: `${gracePeriodSeconds}s`,
    REFRESH_TTL: '1d',
    RATE_LIMIT_REFRESH: '50/1m',
    TRUST_PROXY: '1',
  });
});
afterAll(() => app.close());

let addresses = 0;
/** An address in a network that no other test uses. */
const freshAddress = () => `198.${18 + ((addresses += 1) >> 8)}.${addresses & 0xff}.1`;

const refreshFrom = (ip: string, token: string) =>
  app.call('post', '/refresh', { body: { refresh_token: token }, headers: { 'x-forwarded-for': ip } });
const clientAt = (ip: string) => ({ refresh: (token: string) => refreshFrom(ip, token) });

test('the ninth and later refreshes within a grace period return the same refresh token and write nothing (invariant 15)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const client = clientAt(freshAddress());
  const eighth = (await refreshTimes(client, first, 8)).at(-1) ?? '';
  expect(generationOf(eighth)).toBe(8);
  const before = await app.db.sessions.get(id);
  const accessTokens = new Set<string>();
  for (let refreshes = 9; refreshes <= 20; refreshes += 1) {
    const response = await client.refresh(eighth);
    expect(granted(response)).toBe(eighth);
    const { access_token: accessToken } = response.body as { access_token: string };
    expect((await app.get('/me', accessToken)).status).toBe(200);
    accessTokens.add(accessToken);
  }
  expect(accessTokens.size).toBe(12);
  expect(await app.db.sessions.get(id)).toEqual(before);
});

test('a session that reached the limit is rotated again when the oldest rotation leaves the grace period (invariant 15)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const client = clientAt(freshAddress());
  const second = granted(await client.refresh(first));
  await app.db.sessions.age(15, id);
  const limited = (await refreshTimes(client, second, 12)).at(-1) ?? '';
  expect(generationOf(limited)).toBe(8);
  await app.db.sessions.age(10, id);
  expect(granted(await client.refresh(limited))).toBe(limited);
  await app.db.sessions.age(6, id);
  const ninth = granted(await client.refresh(limited));
  expect(generationOf(ninth)).toBe(9);
  expect(granted(await client.refresh(ninth))).toBe(ninth);
});

test('fifty concurrent refreshes at the limit return the same refresh token (invariant 15)', async () => {
  const { refresh_token: first } = await app.register();
  const limited = (await refreshTimes(clientAt(freshAddress()), first, 8)).at(-1) ?? '';
  const responses = await atOnce(50, () => refreshFrom(freshAddress(), limited));
  expect(new Set(responses.map(granted))).toEqual(new Set([limited]));
});

test('an older token within its grace period returns the current token while the limit is reached (invariant 15)', async () => {
  const { refresh_token: first } = await app.register();
  const client = clientAt(freshAddress());
  const tokens = await refreshTimes(client, first, 12);
  for (const token of tokens) expect(granted(await client.refresh(token))).toBe(tokens.at(-1));
});

/** Bursts of refreshes with the latest token, each followed by a pause. */
const burstsAndPauses = fc.array(
  fc.record({ refreshes: fc.integer({ min: 1, max: 12 }), pauseSeconds: fc.constantFrom(0, 1, 3, 4, 10, 29, 30, 31) }),
  { minLength: 1, maxLength: 12 },
);

test('a refresh by the owner ends the session of a thief, however the thief times refreshes (invariant 13)', async () => {
  await fc.assert(
    fc.asyncProperty(burstsAndPauses, async (bursts) => {
      const { refresh_token: stolen, session_id: id } = await app.register();
      let thiefToken = granted(await refreshFrom(freshAddress(), stolen));
      let passedSeconds = 0;
      const pass = async (seconds: number) => {
        await app.db.sessions.age(seconds, id);
        passedSeconds += seconds;
      };
      for (const { refreshes, pauseSeconds } of bursts) {
        thiefToken = (await refreshTimes(clientAt(freshAddress()), thiefToken, refreshes)).at(-1) ?? '';
        await pass(pauseSeconds);
      }
      // The thief continues until the grace period of the stolen token has ended.
      while (passedSeconds < gracePeriodSeconds) {
        thiefToken = (await refreshTimes(clientAt(freshAddress()), thiefToken, 3)).at(-1) ?? '';
        await pass(2);
      }
      expect(rejectionReason(await refreshFrom(freshAddress(), stolen))).toBe('reused');
      expect(rejectionReason(await refreshFrom(freshAddress(), thiefToken))).toBe('revoked');
      expect((await app.db.sessions.get(id)).revokedReason).toBe('reuse_detected');
    }),
    { numRuns: 25 },
  );
}, 120_000);

test('the token of every earlier generation ends the session after its grace period, however fast the thief refreshes (invariant 13)', async () => {
  for (const generation of [0, 3, 7, 8]) {
    const { refresh_token: first, session_id: id } = await app.register();
    const tokens = new Map([[0, first]]);
    let latest = first;
    for (let seconds = 0; seconds <= 60; seconds += 1) {
      latest = granted(await refreshFrom(freshAddress(), latest));
      tokens.set(generationOf(latest), latest);
      await app.db.sessions.age(1, id);
    }
    expect(generationOf(latest)).toBeGreaterThan(15);
    expect(rejectionReason(await refreshFrom(freshAddress(), tokens.get(generation) ?? ''))).toBe('reused');
    expect(rejectionReason(await refreshFrom(freshAddress(), latest))).toBe('revoked');
  }
}, 60_000);

test("200 requests with a session's own tokens do not prevent the detection of an older token (invariant 14)", async () => {
  const { refresh_token: stolen, session_id: id } = await app.register();
  const thief = clientAt(freshAddress());
  let tokens = await refreshTimes(thief, stolen, 8);
  await app.db.sessions.age(gracePeriodSeconds, id);
  tokens = await refreshTimes(thief, tokens.at(-1) ?? '', 2);
  const responses = await atOnce(200, (index) => thief.refresh(tokens[index % tokens.length] ?? ''));
  expect(responses.filter(({ status }) => status !== 200 && status !== 429)).toEqual([]);
  expect(rejectionReason(await refreshFrom(freshAddress(), stolen))).toBe('reused');
  expect((await app.db.sessions.get(id)).revokedReason).toBe('reuse_detected');
});

test('200 requests from 200 addresses do not prevent the detection of an older token (invariant 14)', async () => {
  const { refresh_token: stolen, session_id: id } = await app.register();
  const latest = (await refreshTimes(clientAt(freshAddress()), stolen, 8)).at(-1) ?? '';
  await app.db.sessions.age(gracePeriodSeconds, id);
  const responses = await atOnce(200, () => refreshFrom(freshAddress(), latest));
  expect(responses.map(({ status }) => status)).toEqual(Array(200).fill(200));
  expect(rejectionReason(await refreshFrom(freshAddress(), stolen))).toBe('reused');
});

/** Ways to present a refresh token, and the reason or code with which it is refused. */
const presentations: [string, (ip: string, token: string) => Promise<unknown>][] = [
  ['/refresh', async (ip, token) => rejectionReason(await refreshFrom(ip, token))],
  [
    '/token',
    async (ip, token) => {
      const form = { grant_type: 'refresh_token', refresh_token: token };
      return (await postForm(app, '/token', form, { 'x-forwarded-for': ip })).body.error;
    },
  ],
  [
    '/token with a scope that was not granted',
    async (ip, token) => {
      const form = { grant_type: 'refresh_token', refresh_token: token, scope: 'nothing:granted' };
      return (await postForm(app, '/token', form, { 'x-forwarded-for': ip })).body.error;
    },
  ],
];

describe('a thief who refreshes every 2.5 seconds from the address of the owner', () => {
  const rhythmSeconds = 2.5;

  /** Steals a token and refreshes `times` times with the latest one. Then 2.5 seconds pass. */
  async function steal(times: number) {
    const { refresh_token: stolen, session_id: id, user } = await app.register();
    const ip = freshAddress();
    let latest = stolen;
    for (let refreshes = 0; refreshes < times; refreshes += 1) {
      latest = granted(await refreshFrom(ip, latest));
      await app.db.sessions.age(rhythmSeconds, id);
    }
    return { id, user, ip, stolen, latest };
  }

  test.each([12, 13, 66])(
    "ends the session at the owner's next refresh, after %i refreshes (invariant 13)",
    async (times) => {
      const { id, user, ip, stolen, latest } = await steal(times);
      expect(generationOf(latest)).toBeGreaterThanOrEqual(8);
      expect(rejectionReason(await refreshFrom(ip, stolen))).toBe('reused');
      expect(rejectionReason(await refreshFrom(ip, latest))).toBe('revoked');
      expect((await app.db.sessions.get(id)).revokedReason).toBe('reuse_detected');
      const userId = user.id;
      expect(await app.db.audit.refreshesOf(id)).toEqual([
        { type: 'refresh_token.reused', outcome: 'failure', userId, ip },
        { type: 'refresh_token.refused', outcome: 'failure', userId, ip },
      ]);
    },
  );

  test('gives the owner the current token until the grace period of the stolen one has ended', async () => {
    const { id, ip, stolen, latest } = await steal(11);
    expect(granted(await refreshFrom(ip, stolen))).toBe(latest);
    await app.db.sessions.age(rhythmSeconds, id);
    expect(rejectionReason(await refreshFrom(ip, stolen))).toBe('reused');
  });

  test.each(presentations)('is detected at %s', async (_path, present) => {
    const { id, ip, stolen } = await steal(20);
    expect(['reused', 'invalid_grant']).toContain(await present(ip, stolen));
    expect((await app.db.sessions.get(id)).revokedReason).toBe('reuse_detected');
  });
});

test('the tokens of an ended session write one audit event, whichever endpoint they are presented to', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await refreshTimes(clientAt(freshAddress()), first, 8);
  await app.db.sessions.age(gracePeriodSeconds, id);
  expect(rejectionReason(await refreshFrom(freshAddress(), first))).toBe('reused');
  const endpoints = ['/refresh', '/token', '/logout', '/revoke'];
  await atOnce(80, (index) => {
    const token = tokens[index % tokens.length] ?? '';
    const headers = { 'x-forwarded-for': freshAddress() };
    const path = endpoints[index % endpoints.length] ?? '';
    if (path === '/token') return postForm(app, path, { grant_type: 'refresh_token', refresh_token: token }, headers);
    if (path === '/revoke') return postForm(app, path, { token }, headers);
    return app.call('post', path, { body: { refresh_token: token }, headers });
  });
  const events = await app.db.audit.types({ session_id: id });
  expect(events.filter((type) => type !== 'account.registered')).toEqual([
    'refresh_token.reused',
    'refresh_token.refused',
  ]);
});
