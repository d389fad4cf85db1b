// Two processes of the built service on one database, so that races span processes.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Settings } from '../harness.ts';
import { createDatabase } from './database.ts';
import { openRows, type Rows } from './rows/index.ts';
import { type ServiceProcess, startService, waitUntilReady } from './service.ts';

export interface Workers {
  first: ServiceProcess;
  second: ServiceProcess;
  /** Alternates: an even number is the first process, an odd one the second. */
  at(index: number): ServiceProcess;
  /** Direct access to the database. */
  db: Rows;
  /** A pool of connections to the database, for what `db` does not offer. */
  sql: pg.Pool;
  databaseUrl: string;
  close(): Promise<void>;
}

export interface WorkersOptions {
  settings?: Settings;
  /** Only for the first process. */
  first?: Settings;
  /** Maps the database URL to the one that the first process uses. */
  firstThrough?: (databaseUrl: string) => Promise<string>;
}

export async function startWorkers({
  settings,
  first: firstOnly,
  firstThrough,
}: WorkersOptions = {}): Promise<Workers> {
  const database = await createDatabase();
  const shared: Settings = {
    MASTER_KEYS: randomBytes(32).toString('base64url'),
    HASH_CONCURRENCY: '2',
    DATABASE_URL: database.url,
    ...settings,
  };
  const firstUrl = firstThrough ? await firstThrough(database.url) : database.url;
  const [first, second] = await Promise.all([
    startService({ ...shared, ...firstOnly, DATABASE_URL: firstUrl }),
    startService(shared),
  ]);
  const sql = new pg.Pool({ connectionString: database.url, max: 4 });
  sql.on('error', () => {});
  const close = async () => {
    await Promise.all([first, second].filter(isRunning).map((service) => service.stop()));
    await sql.end();
    await database.drop();
  };
  try {
    await Promise.all([first, second].map(waitUntilReady));
  } catch (error) {
    await close();
    throw error;
  }
  const at = (index: number) => (index % 2 === 0 ? first : second);
  return { first, second, at, db: openRows(sql), sql, databaseUrl: database.url, close };
}

const isRunning = ({ child }: ServiceProcess): boolean => child.exitCode === null && child.signalCode === null;

/** Calls `run` concurrently with 0 to count - 1. */
export const atOnce = <Result>(count: number, run: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => run(index)));
