// The trail has one partition per month. Partitions are created in advance and dropped completely, and no event is lost.
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { makeAudit } from '../../src/core/audit/audit.ts';
import { makeMaintainAuditPartitions, makePurgePersonalData } from '../../src/core/audit/audit-partitions.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { type Database, sentenceOf } from '../../src/platform/postgres.ts';
import { startApp, type TestApp } from '../harness.ts';
import { startForTest } from '../operations/processes.ts';
import { createDatabase } from '../support/database.ts';
import {
  addEvent,
  newAuditor,
  eventsOf,
  eventually,
  monthAt,
  createPartitionsSince,
  partitionOf,
  partitionsOf,
} from './trail.ts';

jest.setTimeout(60_000);

const day = 86_400;
const log = makeLogger({ level: 'silent', pretty: false });
let app: TestApp;
let processes: { db: Database; close: () => Promise<void> }[];
beforeEach(async () => {
  app = await startApp();
  processes = [];
});
afterEach(async () => {
  for (const { close } of processes) await close();
  await app.close();
});

function openProcess(): Database {
  const infrastructure = openInfrastructure(app.config, log);
  processes.push({ db: infrastructure.db, close: () => infrastructure.close() });
  return infrastructure.db;
}

/** Runs the job that maintains partitions once and returns its error, if it fails. */
async function maintain(retentionDays: number | undefined, db = openProcess()): Promise<string[]> {
  const auditRetentionSeconds = retentionDays === undefined ? undefined : retentionDays * day;
  const deps = { db, audit: makeAudit({ clock: systemClock }), auditRetentionSeconds, log };
  return makeMaintainAuditPartitions(deps)().then(
    () => [],
    (error: unknown) => [sentenceOf(error)],
  );
}

/** The age of the first moment of a month, in whole days, rounded up. */
const daysSince = (month: Date): number => Math.ceil((Date.now() - month.getTime()) / 86_400_000);
const lastMomentOf = (offset: number) => new Date(monthAt(offset + 1).getTime() - 1);
const ids = async (condition = 'true') => (await eventsOf(app.sql, condition)).map(({ id }) => id);
const partitions = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, month) => partitionOf(monthAt(from + month)));
const allPartitions = (from: number, to: number) => [...partitions(from, to), 'audit_events_default'].sort();

describe('partitions', () => {
  test('are created once, two months ahead', async () => {
    for (const month of [1, 2]) await app.sql.query(`DROP TABLE ${partitionOf(monthAt(month))}`);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 0));
    expect(await maintain(undefined)).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 2));
    expect(await maintain(undefined)).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 2));
  });

  test('contain the events of their month to the last millisecond', async () => {
    for (const at of [monthAt(1), lastMomentOf(1), monthAt(2)]) await addEvent(app.sql, at);
    const { rows } = await app.sql.query(`SELECT tableoid::regclass::text AS name FROM audit_events ORDER BY id`);
    const [first, last, next] = rows.slice(-3).map(({ name }) => name as string);
    expect([first, last]).toEqual([partitionOf(monthAt(1)), partitionOf(monthAt(1))]);
    expect(next).toBe(partitionOf(monthAt(2)));
  });

  test('are created while a transaction that has written to the trail is open', async () => {
    await app.sql.query(`DROP TABLE ${partitionOf(monthAt(2))}`);
    const writer = await app.sql.connect();
    await writer.query('BEGIN');
    await writer.query(
      `INSERT INTO audit_events (id, type, outcome) VALUES (audit_first_id(current_date), 'x', 'success')`,
    );
    expect(await maintain(undefined)).toEqual([]);
    await writer.query('COMMIT');
    writer.release();
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 2));
    expect(await ids(`type = 'x'`)).toHaveLength(1);
  });
});

describe('an event of a month without a partition', () => {
  const ahead = 2;
  const idsInDefault = async () =>
    (await app.sql.query('SELECT id FROM audit_events_default')).rows.map(({ id }) => id);

  beforeEach(async () => {
    await app.sql.query(`DROP TABLE ${partitionOf(monthAt(ahead))}`);
  });

  test('is stored and listed', async () => {
    const id = await addEvent(app.sql, monthAt(ahead));
    expect(await idsInDefault()).toEqual([id]);
    const { token } = await newAuditor(app);
    const { events } = (await app.get('/admin/audit?limit=1', token)).body;
    expect(events).toEqual([expect.objectContaining({ id, ip: '192.0.2.1' })]);
  });

  test('moves to its partition when it is created, and stays append-only', async () => {
    const [first, last, other] = [
      await addEvent(app.sql, monthAt(ahead)),
      await addEvent(app.sql, lastMomentOf(ahead)),
      await addEvent(app.sql, monthAt(ahead + 1)),
    ];
    const before = await eventsOf(app.sql, 'true');
    expect(new Set(await idsInDefault())).toEqual(new Set([first, last, other]));
    expect(await maintain(undefined)).toEqual([]);
    expect(await eventsOf(app.sql, 'true')).toEqual(before);
    expect(await idsInDefault()).toEqual([other]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 2));
    for (const table of [partitionOf(monthAt(ahead)), 'audit_events_default', 'audit_events'])
      await expect(app.sql.query(`DELETE FROM ${table}`)).rejects.toMatchObject({ code: '42501' });
    const { rows } = await app.sql.query(`SELECT 1 FROM pg_class WHERE relname = 'audit_events_caught'`);
    expect(rows).toEqual([]);
  });
});

describe('retention', () => {
  test('drops expired months with their personal data, records it, and keeps everything else', async () => {
    await createPartitionsSince(app.sql, -5);
    const expired = [await addEvent(app.sql, monthAt(-5)), await addEvent(app.sql, lastMomentOf(-4))];
    const kept = [await addEvent(app.sql, monthAt(-3)), await addEvent(app.sql, lastMomentOf(-1))];
    const { user } = await app.register();
    const before = await ids();
    expect(before).toEqual(expect.arrayContaining([...expired, ...kept]));

    // A retention longer than the age of month -3 keeps the end of month -4.
    const retentionDays = daysSince(monthAt(-3));
    expect(await maintain(retentionDays + 1)).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(-4, 2));
    expect(await maintain(retentionDays - 1)).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(-3, 2));

    const events = await eventsOf(app.sql, `type = 'audit.retention'`);
    expect(events.map(({ reason, outcome }) => [reason, outcome])).toEqual([
      [partitionOf(monthAt(-5)), 'success'],
      [partitionOf(monthAt(-4)), 'success'],
    ]);
    const newIds = events.map(({ id }) => id);
    expect(await ids()).toEqual([...before.filter((id) => !expired.includes(id)), ...newIds].sort());

    const personalData = async () =>
      (await app.sql.query('SELECT event_id AS id FROM audit_personal_data ORDER BY 1')).rows.map(({ id }) => id);
    const personalDataBefore = await personalData();
    const db = openProcess();
    const auditRetentionSeconds = (retentionDays - 1) * day;
    expect(await makePurgePersonalData({ db, auditRetentionSeconds: undefined })(1)).toBe(0);
    expect(await makePurgePersonalData({ db, auditRetentionSeconds })(1)).toBe(1);
    expect(await makePurgePersonalData({ db, auditRetentionSeconds })(500)).toBe(1);
    expect(await personalData()).toEqual(personalDataBefore.filter((id) => !expired.includes(id)));
    expect(await personalData()).toEqual(expect.arrayContaining(kept));
    expect(await eventsOf(app.sql, 'user_id = $1', user.id)).toHaveLength(1);
  });

  test('off keeps every event', async () => {
    await createPartitionsSince(app.sql, -2);
    const id = await addEvent(app.sql, monthAt(-2));
    expect(await maintain(undefined)).toEqual([]);
    expect(await ids()).toContain(id);
  });

  test('empties the default partition with its personal data when all its events have expired', async () => {
    const stray = await addEvent(app.sql, monthAt(30)); // from a process whose clock is wrong
    await app.sql.query('ALTER TABLE audit_events_default DISABLE TRIGGER ALL');
    await app.sql.query(`UPDATE audit_events_default SET occurred_at = now() - interval '100 days'`);
    await app.sql.query('ALTER TABLE audit_events_default ENABLE TRIGGER ALL');
    expect(await maintain(200)).toEqual([]);
    expect(await ids()).toContain(stray);
    expect(await maintain(60)).toEqual([]);
    expect(await ids()).not.toContain(stray);
    expect((await eventsOf(app.sql, `type = 'audit.retention'`)).map(({ reason }) => reason)).toEqual([
      'audit_events_default',
    ]);
    const { rows } = await app.sql.query('SELECT 1 FROM audit_personal_data WHERE event_id = $1', [stray]);
    expect(rows).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(0, 2));
  });

  test('two concurrent processes drop each month once without errors', async () => {
    await createPartitionsSince(app.sql, -8);
    for (const month of [1, 2]) await app.sql.query(`DROP TABLE ${partitionOf(monthAt(month))}`);
    const [one, two] = [openProcess(), openProcess()];
    const retentionDays = daysSince(monthAt(-1)) - 1;
    for (let round = 0; round < 3; round += 1)
      expect((await Promise.all([maintain(retentionDays, one), maintain(retentionDays, two)])).flat()).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(-1, 2));
    const dropped = (await eventsOf(app.sql, `type = 'audit.retention'`)).map(({ reason }) => reason);
    expect(dropped).toEqual(partitions(-8, -2));
  });

  test('is postponed by a reader of the trail without blocking logins', async () => {
    await createPartitionsSince(app.sql, -3);
    const { email } = await app.register();
    const reader = await app.sql.connect();
    await reader.query('BEGIN');
    await reader.query('SELECT count(*) FROM audit_events');
    const retentionDays = daysSince(monthAt(-1)) - 1;
    const [warnings, login] = await Promise.all([maintain(retentionDays), app.login(email)]);
    expect(warnings).toEqual([expect.stringContaining('lock timeout')]);
    expect(login.status).toBe(200);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(-3, 2));
    await reader.query('COMMIT');
    reader.release();
    expect(await maintain(retentionDays)).toEqual([]);
    expect(await partitionsOf(app.sql)).toEqual(allPartitions(-1, 2));
  });

  test('keeps an event that is inserted while the expired default partition is dropped', async () => {
    const [old, recent] = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'];
    await app.sql.query(`DROP TABLE ${partitionOf(monthAt(0))}`);
    await app.sql.query(
      `INSERT INTO audit_events (id, occurred_at, type, outcome) VALUES ($1, '2020-01-01', 'login', 'success')`,
      [old],
    );
    const writer = await app.sql.connect();
    await writer.query('BEGIN');
    await writer.query(`INSERT INTO audit_events (id, type, outcome) VALUES ($1, 'login', 'success')`, [recent]);
    const dropping = app.sql.query(`SELECT audit_drop_oldest('2021-01-01') AS name`);
    await eventually(async () => (await app.sql.query(`SELECT FROM pg_locks WHERE NOT granted`)).rows);
    await writer.query('COMMIT');
    writer.release();
    expect((await dropping).rows).toEqual([{ name: null }]);
    expect(await ids(`id = '${recent}'`)).toEqual([recent]);
  });

  test('is applied and logged by every process', async () => {
    await createPartitionsSince(app.sql, -3);
    await addEvent(app.sql, monthAt(-3));
    const service = await startForTest({
      DATABASE_URL: app.databaseUrl,
      MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
      AUDIT_RETENTION: `${daysSince(monthAt(-2)) - 1}d`,
    });
    const events = await eventually(() => eventsOf(app.sql, `type = 'audit.retention'`));
    expect(events.map(({ reason }) => reason)).toEqual([partitionOf(monthAt(-3))]);
    await eventually(() =>
      Promise.resolve(service.lines.filter((line) => line.includes('dropped an expired partition of the audit trail'))),
    );
    expect(service.lines.join('\n')).toContain(`"partition":"${partitionOf(monthAt(-3))}"`);
  });
});

test('the migration to partitions keeps every event without copying it', async () => {
  const name = '20261122230000_audit_months';
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-before-partitions-'));
  const database = await createDatabase();
  const older = await startApp({}, { databaseUrl: database.url });
  try {
    for (const entry of await readdir('prisma/migrations'))
      if (entry < name) await cp(join('prisma/migrations', entry), join(folder, entry), { recursive: true });
    await older.sql.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await applyMigrations(database.url, folder);
    for (const at of [new Date('2024-02-29'), monthAt(-1), new Date(), monthAt(1), monthAt(40)])
      await addEvent(older.sql, at);
    const trail = async () => (await older.sql.query('SELECT * FROM audit_events ORDER BY id')).rows;
    const fileOf = async (table: string) =>
      (await older.sql.query('SELECT pg_relation_filenode($1) AS file', [table])).rows[0].file as number;
    const [before, file] = [await trail(), await fileOf('audit_events')];

    expect(await applyMigrations(database.url)).toContain(name);

    expect(await trail()).toEqual(before);
    expect(await fileOf(partitionOf(monthAt(0)))).toBe(file);
    expect(await partitionsOf(older.sql)).toEqual(allPartitions(0, 2));
    expect((await older.sql.query('SELECT count(*)::int AS n FROM audit_events_default')).rows).toEqual([{ n: 1 }]);
    await expect(older.sql.query(`DELETE FROM ${partitionOf(monthAt(0))}`)).rejects.toMatchObject({ code: '42501' });
  } finally {
    await older.close();
    await database.drop();
    await rm(folder, { recursive: true });
  }
});
