// What the pool does with a server that breaks the protocol, and with callers that break the order of a transaction.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { openPool, type Pool } from '../../src/platform/postgres/pool.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

jest.setTimeout(60_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** A message of the protocol of Postgres. */
function message(type: string, body: string): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, Buffer.from(body)]);
}
const authenticated = message('R', '\0\0\0\0');
const ready = message('Z', 'I');

/** Gives `work` a pool of one connection to a server that responds with these bytes. Returns how often the pool connected. */
async function withServer(respond: (isFirst: boolean) => Buffer, work: (pool: Pool) => Promise<void>): Promise<number> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    let isFirst = true;
    socket.on('error', () => {});
    socket.on('data', () => {
      if (isFirst) socket.write(respond(true));
      else socket.end(respond(false)); // as Postgres does after a fatal error
      isFirst = false;
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const pool = openPool({ url: `postgresql://u:p@127.0.0.1:${port}/x`, poolMax: 1, timeoutSeconds: 2, pooled: false });
  await work(pool);
  await pool.end();
  server.close();
  return connections;
}

test('a message that is not one of Postgres ends the connection and not the process', async () => {
  await withServer(
    () => message('R', '\0\0\0c'),
    (pool) => expect(pool.query('SELECT 1')).rejects.toThrow('Unknown authenticationOk message type'),
  );
});

test('a server that reports an error and then that it is ready is not connected', async () => {
  const failed = Buffer.concat([authenticated, message('E', 'SFATAL\0C57P03\0Mstarting\0\0'), ready]);
  const connections = await withServer(
    () => failed,
    async (pool) => {
      await expect(pool.query('SELECT 1')).rejects.toThrow('starting');
      expect(pool.connections.current).toMatchObject({ total: 0, idle: 0 });
    },
  );
  expect(connections).toBe(1);
});

test.each([
  ['once if Postgres reports that an administrator ended it', 'RProcessInterrupts\0', 2],
  ['not at all if something else reports that', '', 1],
])('a statement is repeated %s', async (_, routine, expected) => {
  const ended = message('E', `SFATAL\0C57P01\0Mterminating\0${routine}\0`);
  const connections = await withServer(
    (isFirst) => (isFirst ? Buffer.concat([authenticated, ready]) : ended),
    (pool) => expect(pool.query('SELECT 1')).rejects.toThrow('terminating'),
  );
  expect(connections).toBe(expected);
});

test('nothing runs on a connection after the end of its transaction or after its release', async () => {
  const pool = openPool({ url: database.url, poolMax: 1, timeoutSeconds: 20, pooled: false });
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query('SAVEPOINT s');
  await client.query('ROLLBACK TO SAVEPOINT s');
  const rolledBack = client.query('ROLLBACK');
  await expect(client.query('SELECT 1')).rejects.toThrow('the transaction has ended');
  await rolledBack;
  client.release();
  const other = await pool.connect();
  await expect(client.query('SELECT 1')).rejects.toThrow('the transaction has ended');
  let isEnded = false;
  const ends = [pool.end(), pool.end().then(() => (isEnded = true))];
  await other.query('SELECT 1');
  expect(isEnded).toBe(false);
  other.release();
  await Promise.all(ends);
});

test('a role that acts as another one never has more connections than the pool may open', async () => {
  const admin = new pg.Client(database.url);
  await admin.connect();
  const role = `login_${process.pid}`;
  for (const statement of [
    `CREATE ROLE ${role} LOGIN PASSWORD 'x'`,
    `CREATE ROLE ${role}_owner`,
    `GRANT ${role}_owner TO ${role}`,
    `ALTER ROLE ${role} SET role = '${role}_owner'`,
  ])
    await admin.query(statement);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  const pool = openPool({ url: url.href, poolMax: 1, timeoutSeconds: 1, pooled: false });
  const sleeping = async () =>
    (await admin.query('SELECT FROM pg_stat_activity WHERE usename = $1 AND query LIKE $2', [role, '%pg_sleep%']))
      .rowCount ?? 0;
  let most = 0;
  for (let round = 0; round < 3; round += 1) {
    const client = await pool.connect();
    await client.query('SET statement_timeout = 0');
    await expect(client.query('SELECT pg_sleep(60)')).rejects.toThrow('did not respond in time');
    client.release();
    most = Math.max(most, await sleeping());
    await until(async () => (await sleeping()) === 0);
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  }
  expect(most).toBe(1);
  await pool.end();
  await admin.query(`DROP ROLE ${role}, ${role}_owner`);
  await admin.end();
});
