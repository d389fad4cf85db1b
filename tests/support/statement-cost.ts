// Measures the cost of a query function: records its statement and reads its plan from Postgres.
import pg from 'pg';
import type { Transaction } from '../../src/platform/postgres.ts';
import type { SqlFragment } from '../../src/platform/sql.ts';

/** Returns the statement that a query function sends, without running it. */
export async function statementOf(query: (tx: Transaction) => Promise<unknown>): Promise<SqlFragment> {
  let sent: SqlFragment | undefined;
  const $queryRaw = async (statement: SqlFragment) => {
    sent = statement;
    return [];
  };
  await query({ $queryRaw } as unknown as Transaction);
  if (!sent) throw new Error('the query function sent no statement');
  return sent;
}

export interface Cost {
  /** Pages of 8 kB that the statement reads. */
  buffers: number;
  ms: number;
}

interface Plan {
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
}

function literal(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (value instanceof Date) return pg.escapeLiteral(value.toISOString());
  if (typeof value === 'string') return pg.escapeLiteral(value);
  throw new Error(`no literal for ${typeof value}`);
}

/** After five executions of a prepared statement Postgres decides whether to keep a generic plan, which ignores the parameters. */
const executions = 7;

/**
 * The cost of a prepared statement as a long-lived connection runs it. Only `EXPLAIN EXECUTE` shows that plan: `EXPLAIN` of a
 * statement with parameters always plans for their values.
 */
export async function costOf(connection: Pick<pg.ClientBase, 'query'>, statement: SqlFragment): Promise<Cost> {
  await connection.query(`PREPARE measured AS ${statement.text}`);
  const values = statement.values.length === 0 ? '' : `(${statement.values.map(literal).join(', ')})`;
  const execute = async () => {
    const { rows } = await connection.query<{ 'QUERY PLAN': [{ Plan: Plan; 'Execution Time': number }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE measured${values}`,
    );
    const [explained] = rows[0]?.['QUERY PLAN'] ?? [];
    if (!explained) throw new Error('no plan');
    const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = explained.Plan;
    return { buffers: hit + read, ms: explained['Execution Time'] };
  };
  try {
    for (let execution = 1; execution < executions; execution += 1) await execute();
    return await execute();
  } finally {
    await connection.query('DEALLOCATE measured');
  }
}
