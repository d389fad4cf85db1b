// A database that the configuration names wrongly: the service and its commands stop with one sentence that says what to do.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { describeConnectionError } from '../../src/platform/postgres/connection-errors.ts';
import { startService } from '../../src/service.ts';
import { startApp } from '../harness.ts';
import { createDatabase, type TestDatabase, useDatabase } from '../support/database.ts';
import { published } from '../support/published.ts';
import { runCli } from '../support/run-cli.ts';
import { productionSettings } from '../support/service.ts';

jest.setTimeout(60_000);

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  cleanUp.push(() => database.drop());
});

const asAdmin = (statement: string) => useDatabase(published('TEST_ADMIN_URL'), (db) => db.server.run(statement));

/** The URL of the database with other parts. */
function urlWith(change: (url: URL) => void): string {
  const url = new URL(database.url);
  change(url);
  return url.href;
}

/** Starts the service in this process. Returns its error. */
async function startError(databaseUrl: string): Promise<string> {
  const settings = {
    ...productionSettings(),
    DATABASE_URL: databaseUrl,
    LOG_LEVEL: 'silent',
    UV_THREADPOOL_SIZE: '16',
  };
  try {
    const service = await startService(await loadConfig('production', {}, settings));
    await service.ready.finally(() => service.stop(AbortSignal.abort()));
    return 'ready';
  } catch (error) {
    return `Error: ${(error as Error).message}\n`;
  }
}

const commands = [
  'migrate',
  'keys list',
  'emails list',
  'audit export',
  'sessions revoke --all',
  'users create-admin a@b.example',
];

/** The errors of the service and of every command. */
async function errorsOf(databaseUrl: string): Promise<string[]> {
  const errors = [await startError(databaseUrl)];
  const environment = {
    DATABASE_URL: databaseUrl,
    MASTER_KEYS: randomBytes(32).toString('base64url'),
    APP_URL: 'https://app.example.com',
  };
  for (const command of commands) {
    const { code, stdout, stderr } = await runCli(environment, ...command.split(' '));
    expect([code, stdout]).toEqual([1, '']);
    errors.push(stderr);
  }
  return errors;
}

test.each<[string, (url: URL) => unknown, RegExp]>([
  [
    'a wrong password',
    (url) => (url.password = 'a wrong one'),
    /rejects the login \(password .+\)\. Correct the user and the password in DATABASE_URL\./,
  ],
  [
    'an unknown role',
    (url) => (url.username = 'stranger'),
    /rejects the login \(.+\)\. Correct the user and the password in DATABASE_URL\./,
  ],
  [
    'an unknown database',
    (url) => (url.pathname = '/nope'),
    /has no database "nope"\. Correct DATABASE_URL, or create it with CREATE DATABASE\./,
  ],
  [
    'TLS that the server does not offer',
    (url) => url.searchParams.set('sslmode', 'require'),
    /does not offer TLS\. Turn it on there \(ssl = on\), or remove sslmode from DATABASE_URL\./,
  ],
])('the service and every command stop with one sentence for %s', async (_name, change, sentence) => {
  const whole = new RegExp(`^Error: Postgres at 127\\.0\\.0\\.1:\\d+ ${sentence.source}\n$`);
  const url = urlWith(change);
  const errors = await errorsOf(url);
  expect(errors).toEqual(errors.map(() => expect.stringMatching(whole)));
  expect(errors.join()).not.toContain(new URL(url).password);
});

describe('a role that lacks a right', () => {
  const role = `poor_${process.pid}`;
  const asRole = () =>
    urlWith((url) => {
      [url.username, url.password] = [role, 'a password'];
    });
  beforeEach(async () => {
    await useDatabase(published('TEST_ADMIN_URL'), (db) => db.server.createRole(role, 'a password'));
    cleanUp.unshift(() => asAdmin(`DROP ROLE ${role}`));
  });
  const nameOf = () => new URL(database.url).pathname.slice(1);

  test('to log in is named at the start', async () => {
    await asAdmin(`ALTER ROLE ${role} NOLOGIN`);
    for (const error of await errorsOf(asRole()))
      expect(error).toMatch(
        /^Error: Postgres at \S+ rejects the login \(role "\w+" is not permitted to log in\)\. .+ pg_hba\.conf\.\n$/,
      );
  });

  test('to connect to the database is named at the start', async () => {
    await asAdmin(`REVOKE CONNECT ON DATABASE ${nameOf()} FROM PUBLIC`);
    for (const error of await errorsOf(asRole()))
      expect(error).toMatch(
        /^Error: The role lacks a right on \S+ \S+ \S+ \(permission denied for database .+\)\. Grant it.+\n$/,
      );
  });

  test('on the schema is named at the start', async () => {
    await database.use((db) => db.server.run('REVOKE USAGE ON SCHEMA public FROM PUBLIC'));
    expect(await startError(asRole())).toBe(
      `Error: The role ${role} cannot use the schema public. ` +
        `Run GRANT USAGE ON SCHEMA public TO ${role} as the owner of the database.\n`,
    );
  });

  test.each([
    ['_prisma_migrations', 'SELECT 1'],
    ['signing_keys', `GRANT SELECT ON _prisma_migrations TO ${role}`],
  ])('on the table %s is named at the start', async (table, grant) => {
    await database.use((db) => db.server.run(grant));
    const sentence = `Error: The role in DATABASE_URL lacks a right (permission denied for table ${table}). Use the role that owns the tables, or grant it SELECT, INSERT, UPDATE and DELETE on all of them.\n`;
    const { stderr } = await runCli({ DATABASE_URL: asRole() }, 'keys', 'list');
    expect([await startError(asRole()), stderr]).toEqual([sentence, sentence]);
  });
});

/** Something that listens and is not Postgres. */
async function listenWith(onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => onConnection(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test.each([
  ['an HTTP server', (socket: Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), ''],
  ['a mail server', (socket: Socket) => void socket.end('220 mail.example.com ESMTP\r\n'), 'sslmode=require'],
])('a command names the host and port of %s', async (_name, onConnection, parameters) => {
  const port = await listenWith(onConnection);
  const { stderr } = await runCli(
    { DATABASE_URL: `postgresql://u:p@127.0.0.1:${port}/d?${parameters}` },
    'keys',
    'list',
  );
  expect(stderr).toMatch(
    new RegExp(
      `^Error: The database is unavailable: Postgres at 127.0.0.1:${port} closes the connection \\(.+\\)\\. Check .+\n$`,
    ),
  );
});

test.each([
  ['ENOTFOUND', 'getaddrinfo ENOTFOUND db', false, /^The host of Postgres at db:5432 does not exist/],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'the host is not in it',
    true,
    /^The certificate of Postgres at db:5432 is not accepted/,
  ],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate', true, /Correct the host, sslmode and sslrootcert/],
  ['28000', 'no pg_hba.conf entry for host "10.0.0.1"', true, /allow the connection in pg_hba\.conf/],
  [
    undefined,
    'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
    true,
    /requires a password\. Add it/,
  ],
  ['EAI_AGAIN', 'getaddrinfo EAI_AGAIN db', false, /^Postgres at db:5432 is unavailable: getaddrinfo EAI_AGAIN db$/],
  ['ECONNREFUSED', '', false, /^Postgres at db:5432 is not running \(ECONNREFUSED\)\. Start it/],
  ['ETIMEDOUT', 'connect ETIMEDOUT', false, /^Postgres at db:5432 is unavailable/],
  ['57P03', 'the database system is starting up', false, /starting up$/],
  ['53300', 'sorry, too many clients already', false, /too many clients already$/],
  [undefined, 'timeout exceeded when trying to connect', false, /^Postgres at db:5432 does not respond in time/],
])('%s is described, and permanent only if waiting cannot help', (code, message, isPermanent, sentence) => {
  const described = describeConnectionError(Object.assign(new Error(message), { code }), 'postgresql://u:secret@db/k');
  expect(described).toEqual({ sentence: expect.stringMatching(sentence), isPermanent });
});

test('a command stops with one sentence for a host that does not exist', async () => {
  const { code, stderr } = await runCli(
    { DATABASE_URL: urlWith((url) => (url.hostname = 'db.invalid')) },
    'keys',
    'list',
  );
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: The database is unavailable: .+db\.invalid.*\n$/)]);
});

test.each<[string, () => Promise<string>]>([
  [
    'is down',
    async () => {
      const port = await listenWith((socket) => socket.destroy());
      return urlWith((url) => (url.port = `${port}`));
    },
  ],
  ['has no host yet', async () => urlWith((url) => (url.hostname = 'db.invalid'))],
])('a database that %s is waited for', async (_name, urlOf) => {
  const down = await urlOf();
  const settings = { ...productionSettings(), DATABASE_URL: down, LOG_LEVEL: 'silent', UV_THREADPOOL_SIZE: '16' };
  const service = await startService(await loadConfig('production', {}, settings));
  const outcome = service.ready.catch((error: Error) => error.name);
  expect((await fetch(`http://127.0.0.1:${service.port}/readyz`)).status).toBe(503);
  await service.stop(AbortSignal.abort());
  expect(await outcome).toBe('AbortError'); // it still waited
});

test('a service that has been ready survives a password that changes, a right that is revoked and a database that disappears', async () => {
  const role = `rotated_${process.pid}`;
  await useDatabase(published('TEST_ADMIN_URL'), (db) => db.server.createRole(role, 'first'));
  cleanUp.unshift(() => asAdmin(`DROP ROLE ${role}`));
  const url = urlWith((each) => {
    [each.username, each.password] = [role, 'first'];
  });
  const name = new URL(url).pathname.slice(1);
  await asAdmin(`ALTER ROLE ${role} SUPERUSER`);
  const app = await startApp({}, { databaseUrl: url });
  cleanUp.push(() => app.close());
  const { email } = await app.register();
  const disconnect = () => asAdmin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);

  await asAdmin(`ALTER ROLE ${role} PASSWORD 'second'`);
  await disconnect();
  expect((await app.login(email)).status).toBe(503);
  await asAdmin(`ALTER ROLE ${role} PASSWORD 'first'`);
  expect((await app.login(email)).status).toBe(200);

  await asAdmin(`ALTER ROLE ${role} NOSUPERUSER`);
  await asAdmin(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
  await disconnect();
  expect((await app.login(email)).status).toBe(503);
  await asAdmin(`ALTER ROLE ${role} SUPERUSER`);
  expect((await app.login(email)).status).toBe(200);

  await disconnect();
  await asAdmin(`ALTER DATABASE ${name} RENAME TO ${name}_x`);
  expect((await app.login(email)).status).toBe(503);
  await asAdmin(`ALTER DATABASE ${name}_x RENAME TO ${name}`);
  expect((await app.login(email)).status).toBe(200);
});
