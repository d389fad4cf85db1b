// Compares the declared row type of every raw statement with the names and types that Postgres reports.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { Columns } from '../../src/platform/sql.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { describeStatement } from './describe.ts';
import { samples } from './samples.ts';

interface Statement {
  text: string;
  values: unknown[];
  columns?: Columns;
}

/** Replaces a transaction and records the statements that a function runs. */
function recorder() {
  const statements: Statement[] = [];
  const run = (result: unknown) => (statement: Statement) => {
    statements.push(statement);
    return Promise.resolve(result);
  };
  return { statements, $queryRaw: run([]), $executeRaw: run(0) };
}

/** Whether the driver can send a value as a parameter of a Postgres type. */
function fits(type: string, value: unknown): boolean {
  if (value === null) return true;
  if (type.endsWith('[]')) return Array.isArray(value) && value.every((member) => fits(type.slice(0, -2), member));
  switch (type) {
    case 'uuid':
      return typeof value === 'string' && /^[\da-f-]{36}$/.test(value);
    case 'text':
    case 'inet':
    case 'character varying':
      return typeof value === 'string';
    case 'json':
    case 'jsonb':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
    case 'double precision':
    case 'numeric':
      return typeof value === 'number';
    case 'bigint':
      return typeof value === 'number' || typeof value === 'bigint';
    case 'bytea':
      return value instanceof Uint8Array;
    case 'timestamp with time zone':
      return value instanceof Date;
    default:
      return false;
  }
}

const source = join(import.meta.dirname, '../../src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.sql.ts'))
  .toSorted();

const exportsOf = async (file: string): Promise<Record<string, unknown>> =>
  (await import(pathToFileURL(join(source, file)).href)) as Record<string, unknown>;

const functions: { id: string; call: (...args: unknown[]) => unknown }[] = [];
for (const file of files) {
  for (const [name, value] of Object.entries(await exportsOf(file)))
    if (typeof value === 'function')
      functions.push({ id: `${file} ${name}`, call: value as (typeof functions)[0]['call'] });
}

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client(database.url);
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test('every function with a raw statement has samples, and every sample has its function', () => {
  expect(Object.keys(samples).toSorted()).toEqual(functions.map(({ id }) => id).toSorted());
});

describe.each(functions)('$id', ({ id, call }) => {
  test('declares the columns that Postgres returns and sends parameters of its types', async () => {
    const calls = samples[id] ?? [];
    expect(calls.length).toBeGreaterThan(0);
    for (const args of calls) {
      const tx = recorder();
      const returned = call(...args.map((arg) => (arg === 'tx' ? tx : arg)));
      // A fragment is tested as part of the statements that contain it.
      if (!(returned instanceof Promise)) continue;
      await returned;
      expect(tx.statements.length).toBeGreaterThan(0);
      for (const { text, values, columns } of tx.statements) {
        const described = await describeStatement(client, text);
        expect({ text, columns: described.columns }).toEqual({
          text,
          columns: columns && Object.fromEntries(Object.entries(columns).map(([name, { type }]) => [name, type])),
        });
        const mismatches = described.parameters.filter((type, index) => !fits(type, values[index]));
        expect({ text, mismatches }).toEqual({ text, mismatches: [] });
      }
    }
  });
});
