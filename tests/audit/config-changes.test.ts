// Each start records which variables changed since the previous start.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { makeAudit } from '../../src/core/audit/audit.ts';
import { makeRecordConfigChanges } from '../../src/core/audit/config-changes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { startApp, type TestApp } from '../harness.ts';
import { startForTest } from '../operations/processes.ts';
import { waitUntilReady } from '../support/service.ts';
import { eventsOf, eventually } from './trail.ts';

jest.setTimeout(60_000);

let app: TestApp;
let infrastructure: ReturnType<typeof openInfrastructure>;
beforeEach(async () => {
  app = await startApp();
  infrastructure = openInfrastructure(app.config, makeLogger({ level: 'silent', pretty: false }));
});
afterEach(async () => {
  await infrastructure.close();
  await app.close();
});

const changes = async () => (await eventsOf(app.sql, `type = 'settings.changed'`)).map(({ reason }) => reason);
const [first, second] = [randomBytes(32), randomBytes(32)];
/** Records what a start with this configuration and these master keys does. */
const start = (config: Record<string, string>, ...roots: Buffer[]) =>
  makeRecordConfigChanges({
    db: infrastructure.db,
    audit: makeAudit({ clock: systemClock }),
    keys: deriveMasterKeys(roots.length > 0 ? roots : [first]),
  })(config);

test('concurrent starts with a changed variable record its name once', async () => {
  await Promise.all([1, 2, 3].map(() => start({ ACCESS_TTL: '900', JWT_ALG: 'ES256' })));
  expect(await changes()).toEqual([]);
  await Promise.all([1, 2, 3].map(() => start({ ACCESS_TTL: '60', JWT_ALG: 'ES256' })));
  expect(await changes()).toEqual(['ACCESS_TTL']);
  await start({ ACCESS_TTL: '900', JWT_ALG: 'EdDSA' });
  expect(await changes()).toEqual(['ACCESS_TTL', 'ACCESS_TTL JWT_ALG']);
});

test('a new variable is not a change', async () => {
  await start({ ACCESS_TTL: '900' });
  await start({ ACCESS_TTL: '900', NEW_VARIABLE: 'on' });
  expect(await changes()).toEqual([]);
  await start({ ACCESS_TTL: '900', NEW_VARIABLE: 'off' });
  expect(await changes()).toEqual(['NEW_VARIABLE']);
});

test('a new master key is one change and hides no other while the old key is configured', async () => {
  await start({ ACCESS_TTL: '900' }, first);
  await start({ ACCESS_TTL: '900' }, second, first);
  expect(await changes()).toEqual(['MASTER_KEYS']);
  await start({ ACCESS_TTL: '60' }, first, second);
  expect(await changes()).toEqual(['MASTER_KEYS', 'ACCESS_TTL MASTER_KEYS']);
  await start({ ACCESS_TTL: '60' }, randomBytes(32));
  expect(await changes()).toEqual(['MASTER_KEYS', 'ACCESS_TTL MASTER_KEYS', 'MASTER_KEYS']);
});

test('a process records changes at its start and stores no values', async () => {
  const config = {
    DATABASE_URL: app.databaseUrl,
    MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
  };
  const service = await startForTest(config);
  await waitUntilReady(service);
  const fingerprints = async () => app.db.server.textOf('setting_fingerprints');
  expect((await eventually(fingerprints, 20)).length).toBeGreaterThan(20);
  expect(await service.stop()).toBe(0);
  await waitUntilReady(await startForTest({ ...config, APP_URL: 'https://app.example.com' }));
  await eventually(() => eventsOf(app.sql, `type = 'settings.changed'`));
  expect(await changes()).toEqual(['APP_URL']);
  const text = (await fingerprints()).join('\n');
  expect(text).not.toMatch(/example\.com|ES256/);
});
