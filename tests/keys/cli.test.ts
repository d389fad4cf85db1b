// `npm run cli -- keys` next to a running service.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atOnce } from '../support/workers.ts';
import { keyEvents, kidOf, publishedBy, until } from './keys.ts';
import { runCli } from '../support/run-cli.ts';

const [former, later] = [randomBytes(32), randomBytes(32)];
const text = (key: Buffer) => key.toString('base64url');
const idOf = (key: Buffer) => deriveMasterKeys([key])[0].id;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

let database: TestDatabase;
let app: TestApp;
/** Without master keys: commands that do not need them must not require them. */
const keys = (...args: string[]) => runCli({ DATABASE_URL: database.url }, 'keys', ...args);
const succeeded = async (...args: string[]) => {
  const { code, stdout, stderr } = await keys(...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};

beforeAll(async () => {
  database = await createDatabase();
  app = await startApp({ MASTER_KEYS: text(former) }, { databaseUrl: database.url, runsSigningKeyWorker: true });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

test('list prints the keys without private parts', async () => {
  const [head, ...lines] = (await succeeded('list')).trimEnd().split('\n');
  expect(head?.split(/ {2,}/)).toEqual(['KID', 'ALG', 'STATUS', 'SINCE', 'MASTER KEY']);
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    [await app.db.signingKeys.kid('active'), 'ES256', 'active', expect.stringMatching(time), idOf(former)],
    [await app.db.signingKeys.kid('next'), 'ES256', 'next', expect.stringMatching(time), idOf(former)],
  ]);
});

describe('rotate', () => {
  test('prints when the next key becomes active if it is not ready, and it becomes active then', async () => {
    const [active, next] = [await app.db.signingKeys.kid('active'), await app.db.signingKeys.kid('next')];
    const readyAt = (await app.db.signingKeys.all()).find(({ kid }) => kid === next)?.readyAt;
    const message = `${next} becomes active at ${readyAt?.toISOString()}, when every verifier can have it.\n`;
    expect(await succeeded('rotate')).toBe(message);
    expect(await succeeded('rotate')).toBe(message);
    expect(await app.db.signingKeys.kid('active')).toBe(active);
    expect((await keyEvents(app.db)).slice(2)).toEqual([{ type: 'asked', kid: next, reason: 'cli' }]);
    await app.db.signingKeys.age(660);
    await app.keyring.maintain();
    expect(await app.db.signingKeys.kid('active')).toBe(next);
  });

  test('requested ten times concurrently happens once, immediately if the next key is ready', async () => {
    await app.db.signingKeys.age(660);
    const next = await app.db.signingKeys.kid('next');
    const already = (await keyEvents(app.db)).length;
    const responses = await atOnce(10, () => succeeded('rotate'));
    await until(() => app.keyring.active().kid === next, 2000);
    await app.keyring.maintain();
    const events = (await keyEvents(app.db)).slice(already);
    expect(events.map(({ type }) => type)).toEqual(['asked', 'retired', 'activated', 'made']);
    expect(await app.db.signingKeys.kid('active')).toBe(next);
    for (const response of responses)
      expect(response).toMatch(
        new RegExp(`^${next} (becomes active in every running process|became active at ${time.source}\\. Nothing)`),
      );
    expect(responses.filter((response) => response.includes('becomes active in every running process'))).not.toEqual(
      [],
    );
    // It also does not rotate again later, because no rotation of its successor was requested.
    await app.db.signingKeys.age(660);
    await app.keyring.maintain();
    expect(await app.db.signingKeys.kid('active')).toBe(next);
  }, 60_000);
});

describe('revoke', () => {
  test('destroys the active key: the next one signs, and tokens of the former are refused', async () => {
    const { access_token: token } = await app.register();
    const [active, next] = [await app.db.signingKeys.kid('active'), await app.db.signingKeys.kid('next')];
    const output = await succeeded('revoke', active);
    expect(output).toContain(`Revoked ${active}, which was active.`);
    expect(output).toContain(`${next} is active now.`);
    await until(() => app.keyring.active().kid === next, 1000);
    expect((await app.get('/me', token)).status).toBe(401);
    expect(kidOf((await app.register()).access_token)).toBe(next);
    expect(await publishedBy(app)).not.toContain(active);
    expect(await succeeded('revoke', active)).toMatch(
      new RegExp(`^${active} was already revoked at ${time.source}\\. Nothing to do`),
    );
    expect(await succeeded('list')).toMatch(new RegExp(`${active} +ES256 +revoked +${time.source} +-\n$`));
  });

  test('an unknown key id is an error, and one that starts with a hyphen is not an option', async () => {
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

  test('encrypts every key with the first master key, after which the service needs only that one', async () => {
    const open = (await app.db.signingKeys.all()).filter(({ status }) => status !== 'revoked');
    const first = await rewrap(later, former);
    expect([first.code, first.stderr]).toEqual([0, '']);
    expect(first.stdout.trimEnd().split('\n').sort()).toEqual(
      open.map(({ kid }) => `${kid} is now encrypted with master key ${idOf(later)}.`).sort(),
    );
    expect(await rewrap(later, former)).toMatchObject({
      code: 0,
      stdout: `Every signing key is already encrypted with master key ${idOf(later)}.\n`,
    });
    const rewrapped = (await keyEvents(app.db)).filter(({ type }) => type === 'rewrapped');
    expect(rewrapped).toHaveLength(open.length);
    const restarted = await startApp({ MASTER_KEYS: text(later) }, { databaseUrl: database.url });
    expect(await publishedBy(restarted)).toEqual(await publishedBy(app));
    await restarted.close();
    await expect(startApp({ MASTER_KEYS: text(former) }, { databaseUrl: database.url })).rejects.toThrow(
      /does not contain master key .* Append the old master key to MASTER_KEYS/,
    );
  });

  test('without the old master key changes nothing and prints instructions', async () => {
    const before = await app.db.signingKeys.all();
    const { code, stdout, stderr } = await rewrap(former);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Error: MASTER_KEYS does not contain master key [\da-f]{16}, .*Append[^\n]*\n$/);
    expect(await app.db.signingKeys.all()).toEqual(before);
  });

  test('fails without MASTER_KEYS and names it', async () => {
    const { code, stderr } = await keys('rewrap');
    expect([code, stderr.split('\n').slice(0, 2)]).toEqual([
      1,
      ['Error: The configuration is invalid:', '  - MASTER_KEYS is required'],
    ]);
  });
});

test('--help lists every command, and invalid arguments print the same with the error and exit with 2', async () => {
  const help = await succeeded('--help');
  for (const name of ['list', 'rotate', 'revoke KID', 'rewrap']) expect(help).toContain(`\n  ${name} `);
  const messages: [args: string[], message: string][] = [
    [[], 'The command is missing.'],
    [['fly'], "Unknown command 'fly'."],
    [['revoke'], 'KID is missing.'],
    [['list', 'now'], "Unexpected argument 'now'."],
    [['revoke', 'one', 'two'], "Unexpected argument 'two'."],
    [['list', '--json'], "Unexpected argument '--json'."],
  ];
  for (const [args, message] of messages)
    expect(await keys(...args)).toEqual({ code: 2, stdout: '', stderr: `${help}\n${message}\n` });
}, 60_000);

test('an unreachable or missing database is a one-sentence error without the password', async () => {
  const nowhere = new URL(database.url);
  nowhere.port = '1';
  const { code, stdout, stderr } = await runCli({ DATABASE_URL: nowhere.href }, 'keys', 'list');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^Error: The database is unavailable: [^\n]+\n$/);
  expect(stderr).not.toContain(nowhere.password);
});

test('an unmigrated database is a one-sentence error with the command to run', async () => {
  const old = await createDatabase();
  await old.use((db) => db.server.forgetMigration('key_rotation'));
  const { code, stderr } = await runCli({ DATABASE_URL: old.url }, 'keys', 'list');
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^Error: Migrations are not applied: \d+_key_rotation\. Run npm run db:migrate\.\n$/),
  ]);
  await old.drop();
});

test('before the first start there are no keys to list or rotate', async () => {
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
