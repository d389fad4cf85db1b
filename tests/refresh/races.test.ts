// Invariants 1 and 2, and logins: many concurrent requests at two processes.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hash as argon2Hash } from '@node-rs/argon2';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import { password } from '../harness.ts';
import { generationOf, granted, rejectionReason } from '../support/refresh-tokens.ts';
import { atOnce, startWorkers, type Workers } from '../support/workers.ts';

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers();
}, 30_000);
afterAll(() => workers.close());

const refreshAt = (index: number, token: string) => workers.at(index).refresh(token);

test('fifty concurrent refreshes at two processes return the same successor (invariant 2)', async () => {
  const { refresh_token: first, session_id: id } = await workers.first.register();
  let latest = first;
  for (let round = 1; round <= 3; round += 1) {
    const spent = latest;
    const tokens = (await atOnce(50, (index) => refreshAt(index, spent))).map(granted);
    expect(new Set(tokens).size).toBe(1);
    latest = tokens[0] ?? '';
    expect(generationOf(latest)).toBe(round);
    expect(await workers.db.sessions.get(id)).toMatchObject({
      generation: round,
      rotations: round,
      revokedReason: null,
    });
  }
});

test('every concurrent refresh returns a valid access token', async () => {
  const { refresh_token: spent } = await workers.first.register();
  const responses = await atOnce(10, (index) => refreshAt(index, spent));
  const statuses = await Promise.all(
    responses.map(({ body }, index) =>
      workers.at(index + 1).get('/me', (body as { access_token: string }).access_token),
    ),
  );
  expect(statuses.map(({ status }) => status)).toEqual(Array(10).fill(200));
});

test('a generation has one successor, whichever tokens are refreshed concurrently (invariant 1)', async () => {
  const { refresh_token: first } = await workers.first.register();
  const returned = new Map<number, Set<string>>();
  const note = (token: string) => {
    const generation = generationOf(token);
    returned.set(generation, (returned.get(generation) ?? new Set()).add(token));
    return token;
  };
  // Older tokens race the current one: all requests return the token that is current by then.
  let tokens = [first];
  for (let round = 0; round < 8; round += 1) {
    const presented = [...tokens.slice(-3), ...tokens.slice(-1), ...tokens.slice(-1)];
    const latest = await Promise.all(
      presented.map(async (token, index) => note(granted(await refreshAt(index, token)))),
    );
    tokens = [...new Set([...tokens, ...latest])].sort((a, b) => generationOf(a) - generationOf(b));
  }
  expect(returned.size).toBe(8);
  for (const successors of returned.values()) expect(successors.size).toBe(1);
});

const weakHashes = {
  bcrypt: () => bcryptHash(password, 4),
  'weak Argon2id': () => argon2Hash(password, { algorithm: 2, memoryCost: 64, timeCost: 1, parallelism: 1 }),
};

test.each(Object.entries(weakHashes))(
  'twenty concurrent logins succeed although the first replaces the %s hash',
  async (_, makeHash) => {
    const { email, user } = await workers.first.register();
    await workers.db.users.setPasswordHash(user.id, await makeHash());
    const responses = await atOnce(20, (index) => workers.at(index).login(email));
    expect(responses.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(await workers.db.users.passwordHash(user.id)).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await Promise.all(responses.map(async (response) => granted(await workers.second.refresh(granted(response)))));
    granted(await workers.second.login(email));
  },
  20_000,
);

test('120 concurrent logins leave 100 live sessions, and the oldest are revoked', async () => {
  const { email, user, refresh_token: oldest } = await workers.first.register();
  const tokens = (await atOnce(120, (index) => workers.at(index).login(email))).map(granted);
  const rows = await workers.db.sessions.of(user.id);
  expect(rows).toHaveLength(121);
  expect(rows.filter(({ revokedReason }) => revokedReason === null)).toHaveLength(100);
  expect(rows.filter(({ revokedReason }) => revokedReason === 'too_many_sessions')).toHaveLength(21);
  expect(rejectionReason(await workers.first.refresh(oldest))).toBe('revoked');
  const alive = await atOnce(120, async (index) => (await refreshAt(index, tokens[index] ?? '')).status === 200);
  expect(alive.filter(Boolean)).toHaveLength(100);
}, 40_000);
