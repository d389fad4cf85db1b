import { PrismaPg } from '@prisma/adapter-pg';
import pg, { type Pool } from 'pg';
import { Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { sha256 } from '../lib/secrets.ts';
import { causeOf } from './postgres/pool/causes.ts';
import { parseConnectionUrl } from './postgres/connection.ts';
import type { PoolConfig } from './postgres/pool.ts';

/** Prisma's client inside a transaction. A `Database` is one for single statements. */
export type Transaction = Prisma.TransactionClient;

/** Prisma's client of one process. */
export interface Database extends PrismaClient {
  /** Runs `work` in a READ COMMITTED transaction. @throws DatabaseUnavailable, UniqueViolation, and any error of `work` */
  transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>;
}

/**
 * Postgres is unavailable (down, unreachable, full, too slow, failing over), as opposed to a wrong statement. The outcome of
 * the statement is unknown.
 */
export class DatabaseUnavailable extends Error {}

/** A statement violated a unique constraint. */
export class UniqueViolation extends Error {}

export interface DatabaseConfig extends PoolConfig {
  /** False behind a PgBouncer that does not support prepared statements. */
  statementNames: boolean;
}

/** Names statements by their text, so that Postgres plans each one once per connection instead of once per call. */
function makeStatementNames() {
  const names = new Map<string, string>();
  const maxNames = 500; // limits the memory of Postgres if the text of a statement ever depends on data
  return (text: string): string => {
    const known = names.get(text);
    if (known !== undefined) return known;
    const name = names.size < maxNames ? `k${sha256(Buffer.from(text)).toString('hex', 0, 12)}` : '';
    if (name) names.set(text, name);
    return name;
  };
}

/** Runs one statement on the pool, without Prisma. */
export type RunStatement = (text: string, values: unknown[]) => Promise<pg.QueryResult>;

const runners = new WeakMap<Transaction, RunStatement>();

/** Undefined for a transaction, whose statements must run on its own connection. */
export const statementRunnerOf = (db: Transaction): RunStatement | undefined => runners.get(db);

const bigintOid = 20;
/** The driver's own types, except that 64-bit integers are not strings. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => (oid === bigintOid ? BigInt : pg.types.getTypeParser(oid, format)),
};

/** Opens the client of one process on a pool. `$disconnect` also ends the pool. */
export function openDatabase(config: DatabaseConfig, pool: Pool): Database {
  const timeoutMs = config.timeoutSeconds * 1000;
  const nameOf = config.statementNames ? makeStatementNames() : undefined;
  const adapter = new PrismaPg(pool, {
    disposeExternalPool: true,
    schema: parseConnectionUrl(config.url).schema,
    ...(nameOf && { statementNameGenerator: ({ sql }: { sql: string }) => nameOf(sql) }),
  });
  const prisma = new PrismaClient({
    adapter,
    errorFormat: 'minimal',
    // READ COMMITTED overrides the database's default: after waiting for a lock, a statement must see the changes of the other transaction.
    // The pool ends the wait for a connection.
    transactionOptions: { isolationLevel: 'ReadCommitted', maxWait: timeoutMs + 1000, timeout: timeoutMs },
  }).$extends({
    query: {
      $allModels: {
        async $allOperations({ args, query }) {
          try {
            return await query(args);
          } catch (error) {
            throw translateDatabaseError(error);
          }
        },
      },
    },
  }) as unknown as PrismaClient;
  const database = Object.assign(prisma, {
    async transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
      try {
        return await prisma.$transaction(work);
      } catch (error) {
        throw translateDatabaseError(error);
      }
    },
  });
  runners.set(database, (text, values) => {
    const name = nameOf?.(text);
    return pool.query({ text, values, types, ...(name && { name }) });
  });
  return database;
}

/** Prisma's codes for an unreachable, full or slow server and for transactions that were lost or timed out. */
const unavailableCodes = new Set([
  'P1000',
  'P1001',
  'P1002',
  'P1003',
  'P1008',
  'P1010',
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
  'DatabaseAccessDenied',
  'SocketTimeout',
  'TlsConnectionError',
  'TooManyConnections',
]);

interface DriverError {
  code?: unknown;
  meta?: { driverAdapterError?: { cause?: unknown } };
  cause?: unknown;
  kind?: unknown;
  originalCode?: unknown;
}

function isUnavailable(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { code, meta, cause, kind, originalCode } = error as DriverError;
  return (
    unavailableCodes.has(String(code)) ||
    unavailableKinds.has(String(kind)) ||
    causeOf(originalCode === undefined ? error : { code: originalCode }) !== undefined ||
    isUnavailable(meta?.driverAdapterError, depth + 1) ||
    isUnavailable(cause, depth + 1)
  );
}

function isUniqueViolation(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { code, meta, cause, kind, originalCode } = error as DriverError;
  return (
    kind === 'UniqueConstraintViolation' ||
    String(originalCode ?? code) === '23505' ||
    isUniqueViolation(meta?.driverAdapterError, depth + 1) ||
    isUniqueViolation(cause, depth + 1)
  );
}

/** Translates errors of Prisma and pg to `DatabaseUnavailable` and `UniqueViolation`; other values stay as they are. */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof DatabaseUnavailable || error instanceof UniqueViolation) return error;
  if (isUniqueViolation(error)) return new UniqueViolation(sentenceOf(error), { cause: error });
  return isUnavailable(error) ? new DatabaseUnavailable(withAdvice(sentenceOf(error)), { cause: error }) : error;
}

/** PgBouncer rejects the settings of the session. */
const withAdvice = (sentence: string): string =>
  /startup parameter/i.test(sentence)
    ? `${sentence} (DATABASE_URL connects to a pooler: set DATABASE_DIRECT_URL to Postgres itself)`
    : sentence;

/** The last line of an error's message: Prisma writes the name of its call and blank lines before it. */
export const sentenceOf = (error: unknown): string =>
  String((error as { message?: unknown }).message)
    .split('\n')
    .findLast((line) => line.trim() !== '') ?? 'unknown';

/** Runs constant statements, such as those of `migrations.ts`. @throws DatabaseUnavailable */
export const queryText =
  (db: Database) =>
  async <Row>(text: string): Promise<Row[]> => {
    try {
      return await db.$queryRawUnsafe<Row[]>(text);
    } catch (error) {
      throw translateDatabaseError(error);
    }
  };
