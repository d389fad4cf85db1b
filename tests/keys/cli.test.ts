// npm run cli -- keys, as a process of its own, beside a service that runs.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atOnce } from '../support/workers.ts';
import { keyEvents, keyOf, kidOf, letKeysPass, publishedBy, readKeyRows, until } from './key-rows.ts';
import { runCli } from './run-cli.ts';

const [former, later] = [randomBytes(32), randomBytes(32)];
const text = (key: Buffer) => key.toString('base64url');
const idOf = (key: Buffer) => deriveMasterKeys([key])[0].id;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

let database: TestDatabase;
let app: TestApp;
/** It gets no master key: what needs none must not ask for it. */
const keys = (...args: string[]) => runCli({ DATABASE_URL: database.url }, 'keys', ...args);
const succeeded = async (...args: string[]) => {
  const { code, stdout, stderr } = await keys(...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};

beforeAll(async () => {
  database = await createDatabase();
  app = await startApp({ MASTER_KEYS: text(former) }, { databaseUrl: database.url, tendsKeys: true });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

test('list prints a table of the keys, and nothing of the private ones', async () => {
  const [head, ...lines] = (await succeeded('list')).trimEnd().split('\n');
  expect(head?.split(/ {2,}/)).toEqual(['KID', 'ALG', 'STATUS', 'SINCE', 'MASTER KEY']);
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    [await keyOf(app.sql, 'active'), 'ES256', 'active', expect.stringMatching(time), idOf(former)],
    [await keyOf(app.sql, 'next'), 'ES256', 'next', expect.stringMatching(time), idOf(former)],
  ]);
});

describe('rotate', () => {
  test('says when the next key takes over, where verifiers cannot know it yet; and then it does', async () => {
    const [active, next] = [await keyOf(app.sql, 'active'), await keyOf(app.sql, 'next')];
    const readyAt = (await readKeyRows(app.sql)).find(({ kid }) => kid === next)?.readyAt;
    const told = `${next} becomes active at ${readyAt?.toISOString()}, when every verifier can have it.\n`;
    expect(await succeeded('rotate')).toBe(told);
    expect(await succeeded('rotate')).toBe(told);
    expect(await keyOf(app.sql, 'active')).toBe(active);
    expect((await keyEvents(app.sql)).slice(2)).toEqual([{ type: 'asked', kid: next, reason: 'cli' }]);
    await letKeysPass(app.sql, 660);
    await app.keyring.maintain();
    expect(await keyOf(app.sql, 'active')).toBe(next);
  });

  test('asked for by ten at once happens once, at once where the next key is ready', async () => {
    await letKeysPass(app.sql, 660);
    const next = await keyOf(app.sql, 'next');
    const already = (await keyEvents(app.sql)).length;
    const answers = await atOnce(10, () => succeeded('rotate'));
    await until(() => app.keyring.active().kid === next, 2000);
    await app.keyring.maintain();
    const events = (await keyEvents(app.sql)).slice(already);
    expect(events.map(({ type }) => type)).toEqual(['asked', 'retired', 'activated', 'made']);
    expect(await keyOf(app.sql, 'active')).toBe(next);
    for (const answer of answers)
      expect(answer).toMatch(
        new RegExp(`^${next} (becomes active in every running process|became active at ${time.source}\\. Nothing)`),
      );
    expect(answers.filter((answer) => answer.includes('becomes active in every running process'))).not.toEqual([]);
    // Nor later: nobody has asked for the one after it.
    await letKeysPass(app.sql, 660);
    await app.keyring.maintain();
    expect(await keyOf(app.sql, 'active')).toBe(next);
  }, 60_000);
});

describe('revoke', () => {
  test('destroys the active key: the next one signs, and what the former signed is refused', async () => {
    const { access_token: token } = await app.register();
    const [active, next] = [await keyOf(app.sql, 'active'), await keyOf(app.sql, 'next')];
    const told = await succeeded('revoke', active);
    expect(told).toContain(`Revoked ${active}, which was active.`);
    expect(told).toContain(`${next} is active now.`);
    await until(() => app.keyring.active().kid === next, 1000);
    expect((await app.get('/me', token)).status).toBe(401);
    expect(kidOf((await app.register()).access_token)).toBe(next);
    expect(await publishedBy(app)).not.toContain(active);
    expect(await succeeded('revoke', active)).toMatch(
      new RegExp(`^${active} was already revoked at ${time.source}\\. Nothing to do`),
    );
    expect(await succeeded('list')).toMatch(new RegExp(`${active} +ES256 +revoked +${time.source} +-\n$`));
  });

  test('a kid that is not there is refused with a sentence; one that begins with a hyphen is no option', async () => {
    for (const kid of ['nobody', '-nobody', '--nobody'])
      expect(await keys('revoke', kid)).toEqual({
        code: 1,
        stdout: '',
        stderr: `Error: Signing key ${kid} does not exist. Run keys list.\n`,
      });
  });
});

describe('rewrap', () => {
  const rewrap = (...masterKeys: Buffer[]) =>
    runCli({ DATABASE_URL: database.url, MASTER_KEYS: masterKeys.map(text).join(',') }, 'keys', 'rewrap');

  test('puts every key under the first master key, once, and the service goes on with that one alone', async () => {
    const open = (await readKeyRows(app.sql)).filter(({ status }) => status !== 'revoked');
    const first = await rewrap(later, former);
    expect([first.code, first.stderr]).toEqual([0, '']);
    expect(first.stdout.trimEnd().split('\n').sort()).toEqual(
      open.map(({ kid }) => `${kid} is now encrypted with master key ${idOf(later)}.`).sort(),
    );
    expect(await rewrap(later, former)).toMatchObject({
      code: 0,
      stdout: `Every signing key is already encrypted with master key ${idOf(later)}.\n`,
    });
    const rewrapped = (await keyEvents(app.sql)).filter(({ type }) => type === 'rewrapped');
    expect(rewrapped).toHaveLength(open.length);
    const restarted = await startApp({ MASTER_KEYS: text(later) }, { databaseUrl: database.url });
    expect(await publishedBy(restarted)).toEqual(await publishedBy(app));
    await restarted.close();
    await expect(startApp({ MASTER_KEYS: text(former) }, { databaseUrl: database.url })).rejects.toThrow(
      /does not contain master key .* Append the old master key to MASTER_KEYS/,
    );
  });

  test('without the key that they are under, changes nothing and says what to do', async () => {
    const before = await readKeyRows(app.sql);
    const { code, stdout, stderr } = await rewrap(former);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Error: MASTER_KEYS does not contain master key [\da-f]{16}, .*Append[^\n]*\n$/);
    expect(await readKeyRows(app.sql)).toEqual(before);
  });

  test('needs MASTER_KEYS, and says so', async () => {
    const { code, stderr } = await keys('rewrap');
    expect([code, stderr]).toEqual([1, 'Error: The configuration is invalid:\n  - MASTER_KEYS is required\n']);
  });
});

test('--help tells of every command, and what is none is answered with the same and 2', async () => {
  const help = await succeeded('--help');
  for (const name of ['list', 'rotate', 'revoke KID', 'rewrap']) expect(help).toContain(`\n  ${name} `);
  for (const args of [[], ['fly'], ['revoke'], ['list', 'now'], ['revoke', 'one', 'two'], ['list', '--json']])
    expect(await keys(...args)).toEqual({ code: 2, stdout: '', stderr: help });
}, 20_000);

test('a database that is down, or not there yet, is a sentence without a password', async () => {
  const nowhere = new URL(database.url);
  nowhere.port = '1';
  const { code, stdout, stderr } = await runCli({ DATABASE_URL: nowhere.href }, 'keys', 'list');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^Error: The database is unavailable: [^\n]+\n$/);
  expect(stderr).not.toContain(nowhere.password);
});

test('a database without the migrations is a sentence that says what to run', async () => {
  const old = await createDatabase();
  const client = new pg.Client(old.url);
  await client.connect();
  await client.query(`DELETE FROM _prisma_migrations WHERE migration_name LIKE '%key_rotation'`);
  await client.end();
  const { code, stderr } = await runCli({ DATABASE_URL: old.url }, 'keys', 'list');
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^Error: Migrations are not applied: \d+_key_rotation\. Run npm run db:migrate\.\n$/),
  ]);
  await old.drop();
});

test('before the first start there is nothing to list, and nothing to rotate', async () => {
  const empty = await createDatabase();
  const environment = { DATABASE_URL: empty.url };
  expect(await runCli(environment, 'keys', 'list')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^There are no/),
  });
  expect(await runCli(environment, 'keys', 'rotate')).toMatchObject({
    code: 1,
    stderr: 'Error: There is no next signing key. Start a process to create one.\n',
  });
  await empty.drop();
});
