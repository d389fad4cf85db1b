// The promise that all others serve: whatever the network does, nobody is signed out who did not sign out.
import { expect, test } from '@jest/globals';
import { createClient, KeyturnError } from '../../src/client/index.ts';
import { freshEmail, password } from '../harness.ts';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { atOnce, startWorkers } from '../support/workers.ts';
import { makeStorage } from './world.ts';

const [apps, turnsEach] = [100, 100];
const retryNow = { 'retry-after': '0' };

/** Every fifth request suffers, each from one of these. */
const faults: Fault[] = [
  'loseRequest',
  'loseAnswer',
  'cutAnswer',
  'halveAnswer',
  'delay',
  'duplicate',
  'portal',
  { status: 502, body: '<h1>Bad Gateway</h1>' },
  { status: 503, headers: retryNow, seen: true },
  { status: 429, headers: retryNow },
  { status: 504, seen: true },
];
const faultRate = 0.2;
/** Rare, as each costs a whole time-out. */
const silenceRate = 0.004;

/** mulberry32: the same weather in every run. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('10,000 refreshes through a network that loses, cuts, delays and doubles: nobody is signed out', async () => {
  const workers = await startWorkers();
  const random = makeRandom(20_261_122);
  let suffered = 0;
  const proxies = await atOnce(2, (index) =>
    startFaultyProxy(workers.at(index).baseUrl, ({ path }) => {
      if (path !== '/refresh') return undefined;
      const roll = random();
      if (roll < silenceRate) return 'swallowAnswer';
      if (roll > faultRate) return undefined;
      suffered += 1;
      return faults[Math.floor(random() * faults.length)];
    }),
  );
  const signedOut: string[] = [];
  const gaveUp: string[] = [];
  let refreshed = 0;
  const liveApp = async (index: number) => {
    const storage = makeStorage();
    // Each start has nothing but the storage, and meets another process of the service.
    const start = (turn: number, timeoutMs = 2000) =>
      createClient({
        baseUrl: proxies[(index + turn) % 2]?.baseUrl ?? '',
        transport: 'body',
        storage,
        timeoutMs,
        patienceMs: 25_000,
        onSignedOut: (reason) => void signedOut.push(reason),
      });
    const registration = { email: freshEmail(), password, display_name: 'Ada Lovelace' };
    const { id } = await start(0, 15_000).register(registration);
    const [first = ''] = storage.writes;
    for (let turn = 1; turn <= turnsEach; turn += 1) {
      const client = start(turn);
      try {
        await client.accessToken();
        refreshed += 1;
      } catch (error) {
        gaveUp.push(error instanceof KeyturnError ? error.code : String(error));
      }
    }
    const me = await start(0).fetch('/me');
    return {
      id,
      me: ((await me.json()) as { id: string }).id,
      generations: [first, ...storage.writes].map(generationOf),
    };
  };
  try {
    const lives = await atOnce(apps, liveApp);
    expect({ signedOut, gaveUp, refreshed }).toEqual({ signedOut: [], gaveUp: [], refreshed: apps * turnsEach });
    expect(suffered).toBeGreaterThan(apps * turnsEach * 0.15);
    for (const { id, me, generations } of lives) {
      expect(me).toBe(id);
      // Not one step of the chain was skipped or taken twice, for a token that was stored.
      expect([...new Set(generations)]).toEqual(Array.from({ length: turnsEach + 2 }, (_, generation) => generation));
    }
    const { rows } = await workers.sql.query(
      'SELECT count(*)::int AS sessions, count(revoked_at)::int AS revoked, min(generation) AS generation FROM sessions',
    );
    expect(rows).toEqual([{ sessions: apps, revoked: 0, generation: turnsEach + 1 }]);
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await workers.close();
  }
}, 120_000);
