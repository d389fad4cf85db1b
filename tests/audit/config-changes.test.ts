// A start tells the audit trail which settings are not those of the start before.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeAudit } from '../../src/core/audit/audit.ts';
import { makeRecordConfigChanges } from '../../src/core/audit/config-changes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { startApp, type TestApp } from '../harness.ts';
import { startForTest } from '../operations/processes.ts';
import { whenReady } from '../support/service.ts';
import { eventsOf, eventually } from './trail.ts';

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

const told = async () => (await eventsOf(app.sql, `type = 'settings.changed'`)).map(({ reason }) => reason);
const [first, second] = [randomBytes(32), randomBytes(32)];
/** Records what a start with this configuration and these master keys does. */
const start = (config: Record<string, string>, ...roots: Buffer[]) =>
  makeRecordConfigChanges({
    db: infrastructure.db,
    audit: makeAudit({ clock: systemClock }),
    keys: deriveMasterKeys(roots.length > 0 ? roots : [first]),
  })(config);

test('a start with other settings names them, once, whatever starts at once', async () => {
  await Promise.all([1, 2, 3].map(() => start({ ACCESS_TTL: '900', JWT_ALG: 'ES256' })));
  expect(await told()).toEqual([]);
  await Promise.all([1, 2, 3].map(() => start({ ACCESS_TTL: '60', JWT_ALG: 'ES256' })));
  expect(await told()).toEqual(['ACCESS_TTL']);
  await start({ ACCESS_TTL: '900', JWT_ALG: 'EdDSA' });
  expect(await told()).toEqual(['ACCESS_TTL', 'ACCESS_TTL JWT_ALG']);
});

test('a setting that the release before did not have is no change', async () => {
  await start({ ACCESS_TTL: '900' });
  await start({ ACCESS_TTL: '900', NEW_SETTING: 'on' });
  expect(await told()).toEqual([]);
  await start({ ACCESS_TTL: '900', NEW_SETTING: 'off' });
  expect(await told()).toEqual(['NEW_SETTING']);
});

test('a change of the master keys is one change, and hides no other while the former key is known', async () => {
  await start({ ACCESS_TTL: '900' }, first);
  await start({ ACCESS_TTL: '900' }, second, first);
  expect(await told()).toEqual(['MASTER_KEYS']);
  await start({ ACCESS_TTL: '60' }, first, second);
  expect(await told()).toEqual(['MASTER_KEYS', 'ACCESS_TTL MASTER_KEYS']);
  await start({ ACCESS_TTL: '60' }, randomBytes(32));
  expect(await told()).toEqual(['MASTER_KEYS', 'ACCESS_TTL MASTER_KEYS', 'MASTER_KEYS']);
});

test('a process does so when it starts, and keeps no value', async () => {
  const settings = {
    DATABASE_URL: app.databaseUrl,
    MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
  };
  const service = await startForTest(settings);
  await whenReady(service);
  const kept = async () => (await app.sql.query('SELECT name, f::text AS text FROM setting_fingerprints AS f')).rows;
  expect((await eventually(kept, 20)).length).toBeGreaterThan(20);
  expect(await service.stop()).toBe(0);
  await whenReady(await startForTest({ ...settings, APP_URL: 'https://app.example.com' }));
  await eventually(() => eventsOf(app.sql, `type = 'settings.changed'`));
  expect(await told()).toEqual(['APP_URL']);
  const text = (await kept()).map((row) => row.text).join('\n');
  expect(text).not.toMatch(/example\.com|ES256/);
});
