import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** The ErrorResponse of PgBouncer. */
const fatal = (message: string): Buffer => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(fields.length + 4);
  return Buffer.concat([Buffer.from('E'), length, fields]);
};

/** Refuses connections with startup parameters, as PgBouncer does, and records them. */
async function startPooler(url: string) {
  const refused: string[] = [];
  const { port, hostname } = new URL(url);
  const server = createServer((client) => {
    client.on('error', () => {});
    client.once('data', (startup) => {
      const brought = /statement_timeout|idle_in_transaction_session_timeout|options/.exec(startup.toString('latin1'));
      if (brought) {
        refused.push(brought[0]);
        return void client.end(fatal(`unsupported startup parameter: ${brought[0]}`), () => client.destroy());
      }
      const upstream = connect(Number(port), hostname).on('error', () => client.destroy());
      upstream.write(startup);
      client.pipe(upstream).pipe(client);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pooled = new URL(url);
  pooled.port = String((server.address() as AddressInfo).port);
  return { url: pooled.href, refused, close: () => server.close() };
}

test('with DATABASE_DIRECT_URL, pooled connections use no startup parameter that PgBouncer rejects', async () => {
  const pooler = await startPooler(database.url);
  const settings = { DATABASE_DIRECT_URL: database.url, DATABASE_STATEMENT_NAMES: 'off' };
  const app = await startApp(settings, { databaseUrl: pooler.url });
  const account = await app.register();
  for (let turn = 0, token = account.refresh_token; turn < 20; turn += 1)
    token = (await app.refresh(token)).body.refresh_token as string;
  expect(pooler.refused).toEqual([]);
  await app.close();

  await expect(startApp({}, { databaseUrl: pooler.url })).rejects.toThrow(
    /unsupported startup parameter: options.* \(DATABASE_URL connects to a pooler: set DATABASE_DIRECT_URL to Postgres itself\)/,
  );
  expect(pooler.refused).toContain('options');
  pooler.close();
});
