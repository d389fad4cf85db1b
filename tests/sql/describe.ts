// Asks Postgres to describe a statement without running it (protocol: Parse, Describe, Sync).
import type { Connection, Submittable } from 'pg';
import type pg from 'pg';

export interface Description {
  /** Types of the parameters, in order. */
  parameters: string[];
  /** Types of the result's columns by name; undefined for a statement without a result. */
  columns: Record<string, string> | undefined;
}

interface FieldMessage {
  fields: { name: string; dataTypeID: number }[];
}

interface Found {
  parameters: number[];
  fields: FieldMessage['fields'] | undefined;
}

class DescribeStatement implements Submittable {
  readonly #text: string;
  readonly #resolve: (found: Found) => void;
  readonly #reject: (error: Error) => void;
  #parameters: number[] = [];
  #fields: FieldMessage['fields'] | undefined;

  constructor(text: string, resolve: (found: Found) => void, reject: (error: Error) => void) {
    this.#text = text;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Connection): void {
    connection.once('parameterDescription', ({ dataTypeIDs }: { dataTypeIDs: number[] }) => {
      this.#parameters = dataTypeIDs;
    });
    connection.parse({ name: '', text: this.#text, types: [] }, true);
    connection.describe({ type: 'S', name: '' }, true);
    connection.sync();
  }

  handleRowDescription({ fields }: FieldMessage): void {
    this.#fields = fields;
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve({ parameters: this.#parameters, fields: this.#fields });
  }
}

/** @throws the error of Postgres for an invalid statement */
export async function describeStatement(client: pg.Client, text: string): Promise<Description> {
  const { parameters, fields } = await new Promise<Found>((resolve, reject) => {
    client.query(new DescribeStatement(text, resolve, reject));
  });
  const oids = [...new Set([...parameters, ...(fields ?? []).map(({ dataTypeID }) => dataTypeID)])];
  const { rows } = await client.query<{ oid: number; name: string }>(
    'SELECT oid::int, format_type(oid, NULL) AS name FROM pg_type WHERE oid = ANY ($1::oid[])',
    [oids],
  );
  const nameOf = (oid: number) => rows.find((row) => row.oid === oid)?.name ?? `unknown type ${oid}`;
  return {
    parameters: parameters.map(nameOf),
    columns: fields?.length
      ? Object.fromEntries(fields.map(({ name, dataTypeID }) => [name, nameOf(dataTypeID)]))
      : undefined,
  };
}
