// Two processes under load whose keys rotate every few seconds, and verifiers that cache keys for the maximum time.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { Account } from '../harness.ts';
import { atOnce, startWorkers, type Workers } from '../support/workers.ts';
import { keyEvents, kidOf } from './keys.ts';

const rotations = 5;
/** A key can sign after 1 s of max-age, 1 s of stale-while-revalidate and 1 s of margin: it rotates about every 3 s. */
const settings = { JWKS_MAX_AGE: '1s', SIGNING_KEY_ROTATION: '1s', ISSUER: 'https://auth.example.com' };
const cachedForMs = 2000;
const withinMs = 60_000;

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers({ settings });
}, 30_000);
afterAll(() => workers.close());

/** Reloads after max-age and stale-while-revalidate, and never because of an unknown `kid`. */
function makeVerifier(index: number): (token: string) => Promise<unknown> {
  const url = new URL('/.well-known/jwks.json', workers.at(index).baseUrl);
  const keys = createRemoteJWKSet(url, { cacheMaxAge: cachedForMs, cooldownDuration: 10 * withinMs });
  return (token) => jwtVerify(token, keys, { issuer: settings.ISSUER, typ: 'at+jwt' });
}

test('no caching verifier receives a token of an unknown key during five rotations', async () => {
  const verifiers = Array.from({ length: 8 }, (_, index) => makeVerifier(index));
  const accounts = await atOnce(4, (index) => workers.at(index).register());
  const kids = new Set<string>();
  const failures: string[] = [];
  const startedMs = performance.now();
  let tokens = 0;
  let checks = 0;
  let running = true;

  const check = async (token: string, index: number) => {
    checks += 1;
    await verifiers[index % verifiers.length]?.(token).catch((error: Error) =>
      failures.push(`${index}: ${error.message}`),
    );
  };
  /** A client that refreshes at either process, and uses each token immediately and again a little later. */
  const client = async (account: Account, index: number) => {
    let token = account.refresh_token;
    let earlier: string | undefined;
    for (let round = 0; running; round += 1) {
      const response = await workers.at(index + round).refresh(token);
      if (response.status !== 200) return void failures.push(`refresh: ${response.status} ${response.text}`);
      const { access_token: fresh, refresh_token: next } = response.body as Account;
      token = next;
      tokens += 1;
      kids.add(kidOf(fresh) ?? '');
      // The endpoints of the other process also accept it.
      const me = await workers.at(index + round + 1).get('/me', fresh);
      if (me.status !== 200) failures.push(`/me: ${me.status} ${me.text}`);
      // Verifiers start one after the other, so that their caches differ in age.
      const known = Math.min(verifiers.length, 1 + Math.floor((performance.now() - startedMs) / 370));
      await Promise.all(Array.from({ length: known }, (_, verifier) => check(fresh, verifier)));
      if (earlier !== undefined) await check(earlier, round % known);
      if (round % 10 === 0) earlier = fresh;
    }
  };

  const clients = accounts.map(client);
  while (kids.size <= rotations && failures.length === 0 && performance.now() - startedMs < withinMs)
    await new Promise((resolve) => setTimeout(resolve, 50));
  running = false;
  await Promise.all(clients);

  expect(failures).toEqual([]);
  expect(kids.size).toBeGreaterThan(rotations);
  expect(tokens).toBeGreaterThan(200);
  expect(checks).toBeGreaterThan(5 * tokens);
  const events = await keyEvents(workers.db);
  const activated = events.filter(({ type }) => type === 'activated').map(({ kid }) => kid);
  expect(new Set(activated).size).toBe(activated.length);
  expect(activated.length).toBeGreaterThanOrEqual(rotations);
  // Equal counts, because no process created or retired additional keys.
  const count = (type: string) => events.filter((event) => event.type === type).length;
  expect([count('retired'), count('made')]).toEqual([activated.length, activated.length + 2]);
}, 90_000);
