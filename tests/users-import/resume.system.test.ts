// An import that is interrupted in any way leaves only complete batches and can be resumed.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, readFile, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import { type ImportHarness, startImportHarness } from './import-harness.ts';

jest.setTimeout(90_000);

let harness: ImportHarness;
beforeAll(async () => {
  harness = await startImportHarness();
});
afterAll(() => harness.close());

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

/** Like `harness.run`, with a process that can be killed. */
function start(path: string) {
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'cli', 'users', 'import', path], {
    env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: harness.app.databaseUrl },
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
/** Lines of accounts, of which every hundredth is refused. */
function linesOf(count: number): { lines: object[]; emails: string[]; refused: number[] } {
  const file = (files += 1);
  const lines = Array.from({ length: count }, (_, index) => ({
    email: (index + 1) % 100 === 0 ? 'refused' : `user.${file}.${index + 1}@example.com`,
    display_name: `User ${index + 1}`,
  }));
  const refused = lines.flatMap(({ email }, index) => (email === 'refused' ? [index + 1] : []));
  return { lines, emails: lines.map(({ email }) => email).filter((email) => email !== 'refused'), refused };
}

const count = async (sql: string, ...values: unknown[]) => Number((await harness.rows(sql, ...values))[0]?.['count']);
const emailsLike = 'email = ANY($1::text[])';
const usersOf = (emails: string[]) => count(`SELECT count(*) FROM users WHERE ${emailsLike}`, emails);
/** The number of accounts that lack their role, or do not have exactly one import event. */
const incompleteAccounts = (emails: string[]) =>
  count(
    `SELECT count(*) FROM users
     LEFT JOIN user_roles ON user_id = id
     LEFT JOIN (SELECT user_id, count(*) AS events FROM audit_events WHERE type = 'account.imported' GROUP BY user_id)
       AS imported ON imported.user_id = id
     WHERE ${emailsLike} AND (role IS NULL OR events IS DISTINCT FROM 1)`,
    emails,
  );
/** The row of an import; empty before it has started. */
async function importOf(path: string) {
  const digest = createHash('sha256')
    .update(await readFile(path))
    .digest();
  return (await harness.rows('SELECT * FROM user_imports WHERE file_sha256 = $1', digest))[0] ?? {};
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await condition()); await sleep(5))
    if (Date.now() > deadline) throw new Error('the condition did not become true');
}

const waitingForLocks = () =>
  count(
    `SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`,
  );

/** Inserts an address without committing, so that its batch waits in the middle of its transaction. */
async function blockEmail(email: string): Promise<PoolClient> {
  const client = await harness.app.sql.connect();
  await client.query('BEGIN');
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash) VALUES (gen_random_uuid(), $1, 'x', '!')`,
    [email],
  );
  return client;
}

async function unblock(client: PoolClient): Promise<void> {
  await client.query('ROLLBACK');
  client.release();
}

/** All valid lines are imported completely and once, and the report contains exactly the others. */
async function expectComplete(
  path: string,
  { emails, refused }: { emails: string[]; refused: number[] },
): Promise<void> {
  expect(await usersOf(emails)).toBe(emails.length);
  expect(await incompleteAccounts(emails)).toBe(0);
  const report = await harness.readRefusedLines(path);
  expect(report.map(({ line }) => line)).toEqual(refused);
  expect(new Set(report.flatMap(({ reasons }) => reasons))).toEqual(
    new Set(['email: must be an ASCII email address, such as ada@example.com']),
  );
}

describe('an import killed by SIGKILL', () => {
  test('in the middle of a batch leaves only complete batches and is resumed', async () => {
    const file = linesOf(5000);
    const path = await harness.write(...file.lines);
    const blocker = await blockEmail(`user.${files}.2501@example.com`);
    const { child, ended } = start(path);
    await until(async () => (await waitingForLocks()) === 1);
    child.kill('SIGKILL');
    await ended;
    await unblock(blocker);
    await until(async () => (await waitingForLocks()) === 0);
    expect(await usersOf(file.emails)).toBe(1980);
    expect(await incompleteAccounts(file.emails)).toBe(0);
    expect(await importOf(path)).toMatchObject({ lines: 2000, taken: 1980, refused: 20, finished_at: null });
    const before = await harness.rows(`SELECT id FROM users WHERE ${emailsLike} ORDER BY id`, file.emails);

    expect(await harness.run(path)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^4950 imported, 50 refused/),
    });
    await expectComplete(path, file);
    const after = await harness.rows(`SELECT id FROM users WHERE ${emailsLike} ORDER BY id`, file.emails);
    expect(after).toEqual(expect.arrayContaining(before.slice(0, 50)));
  });

  test('repeatedly at random times imports every account once and reports every refused line', async () => {
    const file = linesOf(30_000);
    const path = await harness.write(...file.lines);
    const stops: number[] = [];
    for (let kills = 0; kills < 5; kills += 1) {
      const from = stops.at(-1) ?? 0;
      const { child, ended } = start(path);
      await until(async () => Number((await importOf(path))['lines'] ?? 0) > from || child.exitCode !== null);
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      await ended;
      // Wait until a commit at the time of death is visible.
      await until(async () => {
        const { lines, taken } = await importOf(path);
        await sleep(50);
        const now = await importOf(path);
        return now['lines'] === lines && (await usersOf(file.emails)) === taken;
      });
      expect(await incompleteAccounts(file.emails)).toBe(0);
      stops.push(Number((await importOf(path))['lines']));
    }
    expect(stops[0]).toBeLessThan(30_000);
    expect(await harness.run(path)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^29700 imported, 300 refused/),
    });
    await expectComplete(path, file);
  });
});

test('Ctrl-C stops an import after the current batch, and the next run resumes it', async () => {
  const file = linesOf(3000);
  const path = await harness.write(...file.lines);
  const blocker = await blockEmail(`user.${files}.501@example.com`);
  const { child, ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  child.kill('SIGINT');
  await sleep(100);
  await unblock(blocker);
  expect(await ended).toEqual({
    code: 1,
    stdout: '',
    stderr: 'Error: The import was stopped after line 1000. Run the same command to resume it.\n',
  });
  expect(await usersOf(file.emails)).toBe(990);
  expect((await harness.run(path)).code).toBe(3);
  await expectComplete(path, file);
});

test('an import that loses the database reports it, and the next run resumes it', async () => {
  const file = linesOf(3000);
  const path = await harness.write(...file.lines);
  const blocker = await blockEmail(`user.${files}.1501@example.com`);
  const { ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  await harness.rows(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`,
  );
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: The database is unavailable: [^\n]+\n$/)]);
  await unblock(blocker);
  expect(await usersOf(file.emails)).toBe(990);
  expect((await harness.run(path)).code).toBe(3);
  await expectComplete(path, file);
});

test('of two concurrent imports of a file, one continues and the other stops', async () => {
  const file = linesOf(4000);
  const path = await harness.write(...file.lines);
  const blocker = await blockEmail(`user.${files}.501@example.com`);
  const both = [start(path), start(path)];
  await until(async () => (await waitingForLocks()) === 2);
  await unblock(blocker);
  const outputs = await Promise.all(both.map(({ ended }) => ended));
  expect(outputs.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b))).toEqual([1, 3]);
  expect(outputs.find(({ code }) => code === 1)?.stderr).toMatch(
    /^Error: Another process is importing the same file\. /,
  );
  await expectComplete(path, file);
});

test('two concurrent imports of the same accounts in opposite order import each account once', async () => {
  const { lines, emails } = linesOf(5000);
  const good = lines.filter((line) => 'email' in line && line.email !== 'refused');
  const paths = [await harness.write(...good), await harness.write(...good.toReversed())];
  const outputs = await Promise.all(paths.map((path) => start(path).ended));
  expect(outputs.map(({ stderr }) => stderr)).toEqual(['', '']);
  const imported = outputs.map(({ stdout }) => Number(/^\d+/.exec(stdout)?.[0]));
  expect(imported.reduce((sum, each) => sum + each, 0)).toBe(emails.length);
  expect(await usersOf(emails)).toBe(emails.length);
  expect(await incompleteAccounts(emails)).toBe(0);
});

test('an import stops if its file changes', async () => {
  const file = linesOf(3000);
  const path = await harness.write(...file.lines);
  const blocker = await blockEmail(`user.${files}.501@example.com`);
  const { ended } = start(path);
  await until(async () => (await waitingForLocks()) === 1);
  await appendFile(path, '{}\n');
  await unblock(blocker);
  expect(await ended).toEqual({
    code: 1,
    stdout: '',
    stderr: `Error: ${path} was changed while it was read. Lines up to line 1000 are imported. Import the rest as a new file.\n`,
  });
  expect(await usersOf(file.emails)).toBe(990);
});

describe('an imported file', () => {
  test('is not imported again, and the summary and the report are the same', async () => {
    const file = linesOf(300);
    const path = await harness.write(...file.lines);
    const first = await harness.run(path);
    const [before, report] = [await importOf(path), await harness.readRefusedLines(path)];
    await utimes(path, 1, 1);
    expect(await harness.run(path)).toEqual(first);
    expect(await importOf(path)).toEqual(before);
    expect(await harness.readRefusedLines(path)).toEqual(report);
  });

  test('that has changed is a new file, whose existing accounts are refused', async () => {
    const file = linesOf(99);
    const path = await harness.write(...file.lines);
    expect((await harness.run(path)).code).toBe(0);
    await appendFile(path, `${JSON.stringify({ email: `late.${files}@example.com`, display_name: 'Late' })}\n`);
    expect(await harness.run(path)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^1 imported, 99 refused/),
    });
  });

  test('is imported again with --again', async () => {
    const file = linesOf(99);
    const path = await harness.write(...file.lines);
    await harness.run(path);
    await harness.rows(`DELETE FROM users WHERE ${emailsLike}`, file.emails);
    expect((await harness.run(path)).stdout).toMatch(/^99 imported/);
    expect(await usersOf(file.emails)).toBe(0);
    expect((await harness.run(path, '--again')).stdout).toMatch(/^99 imported/);
    expect(await usersOf(file.emails)).toBe(99);
  });
});
