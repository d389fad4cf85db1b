// An import that is killed, stopped, cut off or overtaken leaves nothing half-done, and goes on where it was.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, readFile, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import { type ImportWorld, startImportWorld } from './import-world.ts';

jest.setTimeout(90_000);

let world: ImportWorld;
beforeAll(async () => {
  world = await startImportWorld();
});
afterAll(() => world.close());

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

/** As `world.run`, but of a process that can be killed meanwhile. */
function start(path: string) {
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'cli', 'users', 'import', path], {
    env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: world.app.databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  return { child, ended };
}

let files = 0;
/** So many lines of accounts, each hundredth of which is refused. */
function linesOf(count: number): { lines: object[]; emails: string[]; refused: number[] } {
  const file = (files += 1);
  const lines = Array.from({ length: count }, (_, index) => ({
    email: (index + 1) % 100 === 0 ? 'refused' : `user.${file}.${index + 1}@example.com`,
    display_name: `User ${index + 1}`,
  }));
  const refused = lines.flatMap(({ email }, index) => (email === 'refused' ? [index + 1] : []));
  return { lines, emails: lines.map(({ email }) => email).filter((email) => email !== 'refused'), refused };
}

const count = async (sql: string, ...values: unknown[]) => Number((await world.rows(sql, ...values))[0]?.['count']);
const emailsLike = 'email = ANY($1::text[])';
const usersOf = (emails: string[]) => count(`SELECT count(*) FROM users WHERE ${emailsLike}`, emails);
/** How many of the accounts lack their role, or have not exactly one event of their import. */
const halfDone = (emails: string[]) =>
  count(
    `SELECT count(*) FROM users
     LEFT JOIN user_roles ON user_id = id
     LEFT JOIN (SELECT user_id, count(*) AS events FROM audit_events WHERE type = 'account.imported' GROUP BY user_id)
       AS imported ON imported.user_id = id
     WHERE ${emailsLike} AND (role IS NULL OR events IS DISTINCT FROM 1)`,
    emails,
  );
/** What is kept of the import of a file; nothing before it has begun. */
async function importOf(path: string) {
  const digest = createHash('sha256')
    .update(await readFile(path))
    .digest();
  return (await world.rows('SELECT * FROM user_imports WHERE file_sha256 = $1', digest))[0] ?? {};
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await what()); await sleep(5))
    if (Date.now() > deadline) throw new Error('it did not come to that');
}

const waitingForLocks = () =>
  count(
    `SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`,
  );

/** Holds an address that is not committed, so that the batch which has it waits in the middle of its transaction. */
async function hold(email: string): Promise<PoolClient> {
  const client = await world.app.sql.connect();
  await client.query('BEGIN');
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash) VALUES (gen_random_uuid(), $1, 'x', '!')`,
    [email],
  );
  return client;
}

async function letGo(client: PoolClient): Promise<void> {
  await client.query('ROLLBACK');
  client.release();
}

/** All lines that can be taken are, once and whole; and the report has all others, and nothing else. */
async function expectDone(path: string, { emails, refused }: { emails: string[]; refused: number[] }): Promise<void> {
  expect(await usersOf(emails)).toBe(emails.length);
  expect(await halfDone(emails)).toBe(0);
  const report = await world.refusedOf(path);
  expect(report.map(({ line }) => line)).toEqual(refused);
  expect(new Set(report.flatMap(({ reasons }) => reasons))).toEqual(
    new Set(['email: must be an e-mail address in ASCII, such as ada@example.com']),
  );
}

describe('killed by SIGKILL', () => {
  test('in the middle of a batch, it leaves nothing of that batch, and goes on after the one before it', async () => {
    const file = linesOf(5000);
    const path = await world.write(...file.lines);
    const holder = await hold(`user.${files}.2501@example.com`);
    const { child, ended } = start(path);
    await until(async () => (await waitingForLocks()) === 1);
    child.kill('SIGKILL');
    await ended;
    await letGo(holder);
    await until(async () => (await waitingForLocks()) === 0);
    expect(await usersOf(file.emails)).toBe(1980);
    expect(await halfDone(file.emails)).toBe(0);
    expect(await importOf(path)).toMatchObject({ lines: 2000, taken: 1980, refused: 20, finished_at: null });
    const before = await world.rows(`SELECT id FROM users WHERE ${emailsLike} ORDER BY id`, file.emails);

    expect(await world.run(path)).toMatchObject({ code: 3, stdout: expect.stringMatching(/^4950 taken, 50 refused/) });
    await expectDone(path, file);
    const after = await world.rows(`SELECT id FROM users WHERE ${emailsLike} ORDER BY id`, file.emails);
    expect(after).toEqual(expect.arrayContaining(before.slice(0, 50)));
  });

  test('again and again, at no chosen moment, it takes every account once and reports every refused line', async () => {
    const file = linesOf(30_000);
    const path = await world.write(...file.lines);
    const stops: number[] = [];
    for (let kills = 0; kills < 5; kills += 1) {
      const from = stops.at(-1) ?? 0;
      const { child, ended } = start(path);
      await until(async () => Number((await importOf(path))['lines'] ?? 0) > from || child.exitCode !== null);
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      await ended;
      // What was committed as it died is committed now.
      await until(async () => {
        const { lines, taken } = await importOf(path);
        await sleep(50);
        const now = await importOf(path);
        return now['lines'] === lines && (await usersOf(file.emails)) === taken;
      });
      expect(await halfDone(file.emails)).toBe(0);
      stops.push(Number((await importOf(path))['lines']));
    }
    expect(stops[0]).toBeLessThan(30_000);
    expect(await world.run(path)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^29700 taken, 300 refused/),
    });
    await expectDone(path, file);
  });
});

test('stopped by Ctrl-C, it ends after the batch under way, says so, and goes on from there', async () => {
  const file = linesOf(3000);
  const path = await world.write(...file.lines);
  const holder = await hold(`user.${files}.501@example.com`);
  const { child, ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  child.kill('SIGINT');
  await sleep(100);
  await letGo(holder);
  expect(await ended).toEqual({
    code: 1,
    stdout: '',
    stderr: 'Error: The import was stopped after line 1000. Run the same command to resume it.\n',
  });
  expect(await usersOf(file.emails)).toBe(990);
  expect((await world.run(path)).code).toBe(3);
  await expectDone(path, file);
});

test('cut off from the database, it says so, and goes on when it is run again', async () => {
  const file = linesOf(3000);
  const path = await world.write(...file.lines);
  const holder = await hold(`user.${files}.1501@example.com`);
  const { ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  await world.rows(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`,
  );
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: The database is unavailable: [^\n]+\n$/)]);
  await letGo(holder);
  expect(await usersOf(file.emails)).toBe(990);
  expect((await world.run(path)).code).toBe(3);
  await expectDone(path, file);
});

test('two imports of one file at once take each account once: one goes on, and the other leaves it to that', async () => {
  const file = linesOf(4000);
  const path = await world.write(...file.lines);
  const holder = await hold(`user.${files}.501@example.com`);
  const both = [start(path), start(path)];
  await until(async () => (await waitingForLocks()) === 2);
  await letGo(holder);
  const outputs = await Promise.all(both.map(({ ended }) => ended));
  expect(outputs.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b))).toEqual([1, 3]);
  expect(outputs.find(({ code }) => code === 1)?.stderr).toMatch(
    /^Error: Another process is importing the same file\. /,
  );
  await expectDone(path, file);
});

test('two imports of other files with the same accounts, in opposite order, take each account once', async () => {
  const { lines, emails } = linesOf(5000);
  const good = lines.filter((line) => 'email' in line && line.email !== 'refused');
  const paths = [await world.write(...good), await world.write(...good.toReversed())];
  const outputs = await Promise.all(paths.map((path) => start(path).ended));
  expect(outputs.map(({ stderr }) => stderr)).toEqual(['', '']);
  const taken = outputs.map(({ stdout }) => Number(/^\d+/.exec(stdout)?.[0]));
  expect(taken.reduce((sum, each) => sum + each, 0)).toBe(emails.length);
  expect(await usersOf(emails)).toBe(emails.length);
  expect(await halfDone(emails)).toBe(0);
});

test('a file that is changed while it is read is not read on', async () => {
  const file = linesOf(3000);
  const path = await world.write(...file.lines);
  const holder = await hold(`user.${files}.501@example.com`);
  const { ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  await appendFile(path, '{}\n');
  await letGo(holder);
  expect(await ended).toEqual({
    code: 1,
    stdout: '',
    stderr: `Error: ${path} was changed while it was read. Lines up to line 1000 are imported. Import the rest as a new file.\n`,
  });
  expect(await usersOf(file.emails)).toBe(990);
});

describe('a file that was imported', () => {
  test('is known by what it holds: run again it does nothing, and tells and reports the same', async () => {
    const file = linesOf(300);
    const path = await world.write(...file.lines);
    const first = await world.run(path);
    const [was, report] = [await importOf(path), await world.refusedOf(path)];
    await utimes(path, 1, 1);
    expect(await world.run(path)).toEqual(first);
    expect(await importOf(path)).toEqual(was);
    expect(await world.refusedOf(path)).toEqual(report);
  });

  test('and has changed is another file: its accounts that are there are refused', async () => {
    const file = linesOf(99);
    const path = await world.write(...file.lines);
    expect((await world.run(path)).code).toBe(0);
    await appendFile(path, `${JSON.stringify({ email: `late.${files}@example.com`, display_name: 'Late' })}\n`);
    expect(await world.run(path)).toMatchObject({ code: 3, stdout: expect.stringMatching(/^1 taken, 99 refused/) });
  });

  test('is imported from its first line with --again, as after its accounts were deleted', async () => {
    const file = linesOf(99);
    const path = await world.write(...file.lines);
    await world.run(path);
    await world.rows(`DELETE FROM users WHERE ${emailsLike}`, file.emails);
    expect((await world.run(path)).stdout).toMatch(/^99 taken/);
    expect(await usersOf(file.emails)).toBe(0);
    expect((await world.run(path, '--again')).stdout).toMatch(/^99 taken/);
    expect(await usersOf(file.emails)).toBe(99);
  });
});
