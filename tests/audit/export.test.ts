// `npm run cli -- audit export` as a process.
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { runCli } from '../support/run-cli.ts';
import { addEvent, newAuditor, eventsOf, monthAt } from './trail.ts';

jest.setTimeout(60_000);

let app: TestApp;
let folder: string;
beforeAll(async () => {
  app = await startApp();
  folder = await mkdtemp(join(tmpdir(), 'keyturn-export-'));
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

interface Exported {
  id: string;
  [member: string]: unknown;
}

const run = (...args: string[]) => runCli({ DATABASE_URL: app.databaseUrl }, 'audit', ...args);
const parse = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Exported);

test('the export contains the listed events, oldest first', async () => {
  const { token } = await newAuditor(app);
  const { email } = await app.register();
  await app.login(email, 'wrong wrong wrong');
  const { code, stdout, stderr } = await run('export');
  const exported = parse(stdout);
  const { events, next_cursor: next } = (await app.get('/admin/audit?limit=100', token)).body;
  expect(next).toBeNull();
  expect(events.length).toBeGreaterThan(5);
  expect(exported).toEqual(events.toReversed());
  expect([code, stderr]).toEqual([0, `${events.length} events.\n`]);
});

test('the export reads any number of pages, contains each event once, and omits later events', async () => {
  const type = 'export.pages';
  await app.sql.query(
    `INSERT INTO audit_events (id, type, outcome)
     SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n), 12, '0') ||
             substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid, $1, 'success'
     FROM generate_series(1, 4321) AS n`,
    [type],
  );
  await addEvent(app.sql, monthAt(1), type);
  const all = (await eventsOf(app.sql, 'type = $1', type)).map(({ id }) => id);
  const { stdout } = await run('export');
  const exported = parse(stdout).flatMap((event) => (event['type'] === type ? [event.id] : []));
  expect(exported).toEqual(all.slice(0, -1));
});

test('consecutive intervals neither overlap nor leave a gap, and --out writes a private file', async () => {
  const [first, second] = [monthAt(-30), monthAt(-29)];
  const edge = new Date(second.getTime() - 1);
  const [a, b, c] = [await addEvent(app.sql, first), await addEvent(app.sql, edge), await addEvent(app.sql, second)];
  const path = join(folder, 'month.ndjson');
  const [since, until] = [first.toISOString(), second.toISOString()];
  const { code, stdout } = await run('export', '--since', since, '--until', until, '--out', path);
  expect([code, stdout]).toEqual([0, '2 events.\n']);
  expect(parse(await readFile(path, 'utf8')).map(({ id }) => id)).toEqual([a, b]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const next = await run('export', '--since', until, '--until', monthAt(-28).toISOString());
  expect(parse(next.stdout).map(({ id }) => id)).toEqual([c]);
});

test('the export contains only events that match its filters', async () => {
  const { email, user, session_id: session } = await app.register();
  await app.login(email, 'wrong wrong wrong');
  const typesOf = async (...filters: string[]) =>
    parse((await run('export', ...filters)).stdout).map((event) => event['type']);
  expect(await typesOf('--email', email.toUpperCase())).toEqual(['account.registered', 'login']);
  expect(await typesOf('--user-id', user.id, '--type', 'login')).toEqual(['login']);
  expect(await typesOf('--session-id', session, '--ip', '127.0.0.0/8')).toEqual(['account.registered']);
  expect(await typesOf('--email', email, '--ip', '192.0.2.0/24')).toEqual([]);
  expect(await typesOf('--email', email, '--since', '2026-01-01t00:00:00z')).toHaveLength(2);
});

test.each<[args: string[], message: string]>([
  [[], 'The command is missing.'],
  [['list'], "Unknown command 'list'."],
  [['export', 'now'], "Unexpected argument 'now'."],
  [['export', '--since', 'yesterday'], '--since must be'],
  [['export', '--until', '2026-11-01'], '--until must be'],
  [['export', '--until', '1969-12-31T00:00:00Z'], '--until must be a time from 1970'],
  [['export', '--until', '0000-01-01T00:00:00Z'], '--until must be'],
  [['export', '--until', '9999-12-31T23:59:59-14:00'], '--until must be'],
  [['export', '--since', '+010000-01-01T00:00:00Z'], '--since must be'],
  [['export', '--what'], "Unknown option '--what'."],
  [['export', '--user_id', '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11'], "Unknown option '--user_id'."],
  [['export', '--user-id', 'ada'], '--user-id Invalid UUID.'],
  [['export', '--ip', '192.0.2.0/33'], '--ip must be'],
  [['export', '--email', 'ada'], '--email must be'],
  [['export', '--email'], "Option '--email <value>' argument missing."],
  [['export', '--email', 'a@example.com', '--email=b@example.com'], "Option '--email' is given more than once."],
  [
    ['export', '--email', 'ada', '--ip', 'x'],
    '--email must be an ASCII email address, such as ada@example.com.\n--ip must',
  ],
])('%j prints the usage and the error, and no events', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^Usage: npm run cli -- audit <command>/);
  expect(stderr).toContain(`describes the events.\n\n${message}`);
});

test('a file that cannot be written is reported in one sentence', async () => {
  const { code, stdout, stderr } = await run('export', '--out', join(folder, 'no', 'such', 'folder'));
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^Error: Cannot write .*folder: ENOENT\.\n$/);
});
