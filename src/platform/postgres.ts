import { PrismaPg } from '@prisma/adapter-pg';
import type { Pool } from 'pg';
import { Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { sha256 } from '../kernel/secret.ts';
import type { Logger } from './log.ts';
import type { PoolSettings } from './postgres-pool.ts';

export type Database = PrismaClient;
/** Inside a transaction, or the database itself where one statement is all. */
export type Queryable = Prisma.TransactionClient;
export type SqlFragment = Prisma.Sql;
/** A statement or a part of one; values become parameters. */
export const { sql } = Prisma;

export interface DatabaseSettings extends PoolSettings {
  /** off behind a PgBouncer that does not follow prepared statements */
  statementNames: boolean;
}

/** Names by text, so that Postgres plans a statement once a connection instead of once a call. */
function makeStatementNames() {
  const names = new Map<string, string>();
  const mostNames = 500; // a bound for Postgres' memory, should a statement's text ever depend on data
  return ({ sql: text }: { sql: string }): string => {
    const known = names.get(text);
    if (known !== undefined) return known;
    const name = names.size < mostNames ? `k${sha256(Buffer.from(text)).toString('hex', 0, 12)}` : '';
    if (name) names.set(text, name);
    return name;
  };
}

/** The client of one process, on a pool that it ends with itself. */
export function openDatabase(settings: DatabaseSettings, pool: Pool, log: Logger): Database {
  const timeoutMs = settings.timeoutSeconds * 1000;
  const adapter = new PrismaPg(pool, {
    disposeExternalPool: true,
    onPoolError: (error) => log.warn({ reason: error.message }, 'a database connection was lost'),
    ...(settings.statementNames ? { statementNameGenerator: makeStatementNames() } : {}),
  });
  return new PrismaClient({
    adapter,
    errorFormat: 'minimal',
    // Said each time: after a wait for a lock a statement must see what the other one did, whatever the database's default.
    transactionOptions: { isolationLevel: 'ReadCommitted', maxWait: timeoutMs, timeout: timeoutMs * 2 },
  });
}

/** Prisma's codes for a server that is gone, full or too slow, and for a transaction that it lost or that timed out. */
const unavailableCodes = new Set([
  'P1000',
  'P1001',
  'P1002',
  'P1003',
  'P1008',
  'P1011',
  'P1017',
  'P2024',
  'P2028',
  'P2034',
  'P2037',
]);
const unavailableKinds = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TlsConnectionError',
  'TooManyConnections',
]);
/**
 * Connection exception, resources, operator intervention (shutdown, cancel, read-only standby), deadlock, lock time-out,
 * and a table that is not there yet: the migrations are still to come.
 */
const unavailableStates = /^(08|53|57P|57014|25006|25P03|40|55P03|42P01)/;
const unavailableMessages =
  /connection terminated|timeout exceeded|query read timeout|connection timeout|client has encountered a connection error|econnre|etimedout|epipe|enotfound|eai_again/i;

interface DatabaseFault {
  code?: unknown;
  message?: unknown;
  meta?: { driverAdapterError?: { cause?: unknown } };
  cause?: unknown;
  kind?: unknown;
  originalCode?: unknown;
}

/**
 * Whether a fault says that Postgres is not to be had now (down, unreachable, full, too slow, failing over), rather than
 * that a statement is wrong. The outcome of the statement is then unknown.
 */
export function isDatabaseUnavailable(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { code, message, meta, cause, kind, originalCode } = error as DatabaseFault;
  return (
    unavailableCodes.has(String(code)) ||
    unavailableKinds.has(String(kind)) ||
    unavailableStates.test(String(originalCode ?? code)) ||
    (code === undefined && unavailableMessages.test(String(message))) ||
    isDatabaseUnavailable(meta?.driverAdapterError, depth + 1) ||
    isDatabaseUnavailable(cause, depth + 1)
  );
}

/** Whether a statement was refused because another row has a value that only one may have. */
export function violatesUnique(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { code, meta, cause, kind, originalCode } = error as DatabaseFault;
  return (
    kind === 'UniqueConstraintViolation' ||
    String(originalCode ?? code) === '23505' ||
    violatesUnique(meta?.driverAdapterError, depth + 1) ||
    violatesUnique(cause, depth + 1)
  );
}

/** The sentence of a database's fault: Prisma puts the name of its call and blank lines before it. */
export const sentenceOf = (error: unknown): string =>
  String((error as { message?: unknown }).message)
    .split('\n')
    .findLast((line) => line.trim() !== '') ?? 'unknown';

/** Runs statements that are constants of ours, as `migrations.ts` takes them. */
export const queryText =
  (db: Database) =>
  <Row>(text: string): Promise<Row[]> =>
    db.$queryRawUnsafe<Row[]>(text);

/** Whether Postgres answers within a second; never throws. */
export async function answers(db: Database): Promise<boolean> {
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), 1000).unref());
  const answered = db.$queryRaw`SELECT 1 AS one`.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, late]);
}
