// Raw SQL with declared rows. The tests compare them with what Postgres reports for each statement.
import { Prisma } from '../generated/prisma/client.ts';
import { statementRunnerOf, type Transaction, translateDatabaseError } from './postgres.ts';

/** A statement or a part of one. Interpolated values become parameters. */
export const { sql } = Prisma;
export type SqlFragment = Prisma.Sql;

declare const value: unique symbol;

/** A column of a result: its Postgres type, and the type that the driver returns for it. */
export interface Column<Value> {
  readonly type: string;
  readonly nullable: boolean;
  readonly [value]?: Value;
}

const columnOf = <Value>(type: string): Column<Value> => ({ type, nullable: false });

/** The column types that statements can return. */
export const column = {
  uuid: <Id extends string = string>() => columnOf<Id>('uuid'),
  text: <Text extends string = string>() => columnOf<Text>('text'),
  boolean: columnOf<boolean>('boolean'),
  integer: columnOf<number>('integer'),
  bigint: columnOf<bigint>('bigint'),
  double: columnOf<number>('double precision'),
  timestamptz: columnOf<Date>('timestamp with time zone'),
  bytea: columnOf<Uint8Array>('bytea'),
  textArray: columnOf<string[]>('text[]'),
  integerArray: columnOf<number[]>('integer[]'),
  byteaArray: columnOf<Uint8Array[]>('bytea[]'),
  nullable: <Value>(of: Column<Value>): Column<Value | null> => ({ type: of.type, nullable: true }),
} as const;

export type Columns = Readonly<Record<string, Column<unknown>>>;
export type RowOf<Declared extends Columns> = {
  -readonly [Name in keyof Declared]: Declared[Name] extends Column<infer Value> ? Value : never;
};

/** Runs a statement that returns rows with these columns. @throws DatabaseUnavailable, UniqueViolation */
export async function queryRows<Declared extends Columns>(
  tx: Transaction,
  columns: Declared,
  statement: SqlFragment,
): Promise<RowOf<Declared>[]> {
  try {
    const run = statementRunnerOf(tx);
    if (run) return (await run(statement.text, statement.values)).rows as RowOf<Declared>[];
    return await tx.$queryRaw<RowOf<Declared>[]>(Object.assign(statement, { columns }));
  } catch (error) {
    throw translateDatabaseError(error);
  }
}

/** The first row, or undefined. @throws DatabaseUnavailable, UniqueViolation */
export async function queryRow<Declared extends Columns>(
  tx: Transaction,
  columns: Declared,
  statement: SqlFragment,
): Promise<RowOf<Declared> | undefined> {
  const [row] = await queryRows(tx, columns, statement);
  return row;
}

/** Runs a statement and returns the number of rows that it changed. @throws DatabaseUnavailable, UniqueViolation */
export async function execute(tx: Transaction, statement: SqlFragment): Promise<number> {
  try {
    const run = statementRunnerOf(tx);
    if (run) return (await run(statement.text, statement.values)).rowCount ?? 0;
    return await tx.$executeRaw(statement);
  } catch (error) {
    throw translateDatabaseError(error);
  }
}
