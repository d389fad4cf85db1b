// The most important guarantee of the client: no network fault signs a user out.
import { expect, test } from '@jest/globals';
import { createClient, KeyturnError } from '../../src/client/index.ts';
import { freshEmail, password } from '../harness.ts';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { atOnce, startWorkers } from '../support/workers.ts';
import { displayName, makeStorage } from './support.ts';

const [appCount, refreshesPerApp] = [100, 100];
const retryNow = { 'retry-after': '0' };

/** Every fifth request gets one of these. */
const faults: Fault[] = [
  'loseRequest',
  'loseResponse',
  'cutResponse',
  'halveResponse',
  'delay',
  'duplicate',
  'portal',
  { status: 502, body: '<h1>Bad Gateway</h1>' },
  { status: 503, headers: retryNow, forwards: true },
  { status: 429, headers: retryNow },
  { status: 504, forwards: true },
];
const faultRate = 0.2;
/** Low, because each of these waits for a timeout. */
const withholdRate = 0.004;

/** mulberry32: the same faults in every run. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('10,000 refreshes over a faulty network sign no user out', async () => {
  const workers = await startWorkers();
  const random = makeRandom(20_261_122);
  let faultCount = 0;
  const proxies = await atOnce(2, (index) =>
    startFaultyProxy(workers.at(index).baseUrl, ({ path }) => {
      if (path !== '/refresh') return undefined;
      const roll = random();
      if (roll < withholdRate) return 'withholdResponse';
      if (roll > faultRate) return undefined;
      faultCount += 1;
      return faults[Math.floor(random() * faults.length)];
    }),
  );
  const signedOut: string[] = [];
  const failures: string[] = [];
  let refreshed = 0;
  const runApp = async (index: number) => {
    const storage = makeStorage();
    // A restarted app has only its storage, and connects to the other process of the service.
    const start = (run: number, timeoutMs = 5000) =>
      createClient({
        baseUrl: proxies[(index + run) % 2]?.baseUrl ?? '',
        transport: 'body',
        storage,
        timeoutMs,
        retryTimeoutMs: 25_000,
        onSignedOut: (reason) => void signedOut.push(reason),
      });
    const registration = { email: freshEmail(), password, display_name: displayName };
    const { id } = await start(0, 15_000).register(registration);
    const [first = ''] = storage.writes;
    for (let run = 1; run <= refreshesPerApp; run += 1) {
      const client = start(run);
      try {
        await client.accessToken();
        refreshed += 1;
      } catch (error) {
        failures.push(error instanceof KeyturnError ? error.code : String(error));
      }
    }
    const me = await start(0, 15_000).fetch('/me');
    return {
      id,
      me: ((await me.json()) as { id: string }).id,
      generations: [first, ...storage.writes].map(generationOf),
    };
  };
  try {
    const results = await atOnce(appCount, runApp);
    expect({ signedOut, failures, refreshed }).toEqual({
      signedOut: [],
      failures: [],
      refreshed: appCount * refreshesPerApp,
    });
    expect(faultCount).toBeGreaterThan(appCount * refreshesPerApp * 0.15);
    for (const { id, me, generations } of results) {
      expect(me).toBe(id);
      // No generation was skipped, and the app has the current one. The service rotates at most eight times per grace period.
      const [session, ...others] = await workers.db.sessions.of(id);
      expect([others.length, session?.revokedAt]).toEqual([0, null]);
      const rotations = session?.generation ?? 0;
      expect(rotations).toBeGreaterThanOrEqual(8);
      expect([...new Set(generations)]).toEqual(Array.from({ length: rotations + 1 }, (_, generation) => generation));
    }
    expect(await workers.db.count('sessions')).toBe(appCount);
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await workers.close();
  }
}, 240_000);
