import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { setTimeout as sleep } from 'node:timers/promises';
import { startApp, type TestApp } from '../harness.ts';
import { type Admin } from '../support/builders.ts';

jest.setTimeout(30_000);

interface ListedKey {
  kid: string;
  status: string;
}

let app: TestApp;
let admin: Admin;
beforeAll(async () => {
  app = await startApp({ JWKS_MAX_AGE: '1s' }, { runsSigningKeyWorker: true });
  admin = await app.admin();
});
afterAll(() => app.close());

const list = async (token = admin.token) => (await app.get('/admin/keys', token)).body.keys as ListedKey[];
const kidOf = (keys: ListedKey[], status: string) => keys.find((key) => key.status === status)?.kid;
const eventsOf = async (kid: string | undefined, type: string) => {
  const { rows } = await app.sql.query(
    'SELECT actor_id, session_id, reason, request_id FROM audit_events WHERE kid = $1 AND type = $2',
    [kid, type],
  );
  return rows as Record<string, string | null>[];
};

test('the list of keys contains nothing private', async () => {
  const { body, text } = await app.get('/admin/keys', admin.token);
  expect(body.keys).toEqual([
    { kid: app.keyring.active().kid, alg: 'ES256', status: 'active', since: expect.any(String) },
    { kid: expect.any(String), alg: 'ES256', status: 'next', since: expect.any(String) },
  ]);
  expect(text).not.toMatch(/"d"|sealed|master/);
});

test('a requested rotation happens and is audited once with the administrator', async () => {
  const before = await list();
  const next = kidOf(before, 'next');
  const { status, body } = await app.post('/admin/keys/rotate', undefined, admin.token);
  expect([status, body.keys]).toEqual([200, [{ kid: next, takes_over_at: expect.any(String), asked: true }]]);
  for (let tries = 0; kidOf(await list(), 'active') !== next; tries += 1) {
    expect(tries).toBeLessThan(100);
    await sleep(100);
  }
  const [event, ...rest] = await eventsOf(next, 'signing_key.asked');
  expect(rest).toEqual([]);
  expect(event).toMatchObject({ actor_id: admin.user.id, reason: 'admin', request_id: expect.any(String) });
  expect(decodeProtectedHeader(await app.tokenOf(admin, 'keys:write')).kid).toBe(next);
});

test('tokens of a revoked key are rejected, and the next key signs', async () => {
  const token = await app.tokenOf(admin, 'keys:write');
  const { kid = '' } = decodeProtectedHeader(token);
  expect((await app.post(`/admin/keys/${kid}/revoke`, undefined, token)).status).toBe(204);
  for (let tries = 0; (await app.get('/admin/keys', token)).status !== 401; tries += 1) {
    expect(tries).toBeLessThan(100);
    await sleep(100);
  }
  const fresh = await app.tokenOf(admin, 'keys:write');
  expect(decodeProtectedHeader(fresh).kid).not.toBe(kid);
  expect(kidOf(await list(fresh), 'revoked')).toBe(kid);
  expect(await eventsOf(kid, 'signing_key.revoked')).toMatchObject([{ actor_id: admin.user.id, reason: 'admin' }]);
  expect((await app.post(`/admin/keys/${kid}/revoke`, undefined, fresh)).status).toBe(204);
  expect(await eventsOf(kid, 'signing_key.revoked')).toHaveLength(1);
  for (const unknown of ['A'.repeat(43), 'short', '%00'])
    expect((await app.post(`/admin/keys/${unknown}/revoke`, undefined, fresh)).status).toBe(404);
});
