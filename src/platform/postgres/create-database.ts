import pg from 'pg';
import { makeClient } from './client.ts';
import { directConnection, noTimeouts } from './connection.ts';

/** Creates a database on the server of `adminUrl` if it does not exist. */
export async function createDatabaseIfMissing(adminUrl: string, name: string): Promise<void> {
  const admin = makeClient(directConnection(adminUrl, noTimeouts));
  await admin.connect();
  try {
    const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await admin.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } finally {
    await admin.end();
  }
}
