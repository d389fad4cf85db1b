import type pg from 'pg';

/** A pool, or one connection of it. */
export type Connection = Pick<pg.Pool | pg.PoolClient | pg.Client, 'query'>;

/** Column values that a row must have. An array means "any of these". */
export type Match = Readonly<Record<string, unknown>>;

/** Runs statements on one connection. */
export interface Sql {
  rows<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The only row. @throws if there is no row, or more than one */
  one<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row>;
  /** Runs a statement and returns the number of rows that it changed. */
  run(text: string, values?: readonly unknown[]): Promise<number>;
}

export function makeSql(connection: Connection): Sql {
  const rows = async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) =>
    (await connection.query<Row>(text, [...values])).rows;
  return {
    rows,
    async one<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) {
      const [row, ...others] = await rows<Row>(text, values);
      if (!row || others.length > 0) throw new Error(`${row ? others.length + 1 : 0} rows instead of one: ${text}`);
      return row;
    },
    run: async (text, values = []) => (await connection.query(text, [...values])).rowCount ?? 0,
  };
}

/** Quotes the name of a table or column. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A WHERE clause and its values. */
export function where(match: Match, firstParameter = 1): { text: string; values: unknown[] } {
  const entries = Object.entries(match).filter(([, value]) => value !== undefined);
  const conditions = entries.map(([column, value], index) => {
    if (value === null) return `${quoted(column)} IS NOT DISTINCT FROM $${firstParameter + index}`;
    return `${quoted(column)} = ${Array.isArray(value) ? `ANY($${firstParameter + index})` : `$${firstParameter + index}`}`;
  });
  return {
    text: conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`,
    values: entries.map(([, value]) => value),
  };
}
