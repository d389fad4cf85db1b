// What a database must have that a connection cannot set. Behind a pooler, that includes the settings of the session.

/** What Postgres reports about the server, the database and the session. */
export interface DatabaseFacts {
  version: number;
  database: string;
  /** Quoted for SQL where necessary, like `schema`. */
  role: string;
  encoding: string;
  /** The schema in which new tables are created; null if it does not exist. */
  schema: string | null;
  /** The schema of the service if the role cannot use it, quoted for SQL where necessary; null if it can or if there is none. */
  hiddenSchema: string | null;
  timeZone: string;
  dateStyle: string;
  clientEncoding: string;
  conformingStrings: string;
  isolation: string;
  readOnly: string;
  replicationRole: string;
}

const factsSql = `
  SELECT current_setting('server_version_num')::int AS version, quote_ident(current_database()) AS database,
         quote_ident(current_user) AS role, current_setting('server_encoding') AS encoding,
         current_schema()::text AS schema,
         (SELECT quote_ident(nspname) FROM pg_namespace
          WHERE nspname = replace(current_setting('search_path'), '"', '') AND NOT has_schema_privilege(oid, 'USAGE')) AS "hiddenSchema", current_setting('TimeZone') AS "timeZone",
         current_setting('DateStyle') AS "dateStyle", current_setting('client_encoding') AS "clientEncoding",
         current_setting('standard_conforming_strings') AS "conformingStrings",
         current_setting('default_transaction_isolation') AS isolation,
         current_setting('default_transaction_read_only') AS "readOnly",
         current_setting('session_replication_role') AS "replicationRole"`;

const minVersion = 14;
const utcNames = /^(Etc\/)?(UTC|UCT|GMT|Zulu|Universal|Greenwich)$/i;

/** Returns what is wrong with the database and what to do, in one sentence each; undefined if nothing is. */
export function describeUnmetRequirement(facts: DatabaseFacts, schema: string): string | undefined {
  const { version, encoding, database, role } = facts;
  if (version < minVersion * 10_000)
    return `Postgres ${Math.floor(version / 10_000)} is too old. Use Postgres ${minVersion} or later.`;
  if (encoding !== 'UTF8')
    return (
      `The database ${database} has the encoding ${encoding}, but names need UTF8. Create another one with ` +
      `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0 and move the data with pg_dump.`
    );
  if (facts.hiddenSchema !== null)
    return (
      `The role ${role} cannot use the schema ${facts.hiddenSchema}. ` +
      `Run GRANT USAGE ON SCHEMA ${facts.hiddenSchema} TO ${role} as the owner of the database.`
    );
  const wrong = wrongSettings(facts, schema);
  if (wrong.length === 0) return undefined;
  const advice = wrong.map(([name, value]) => `ALTER ROLE ${role} SET ${name} = ${value}`).join('; ');
  return (
    `Sessions of the role ${role} need other settings, which the service cannot set because a pooler removes them. ` +
    `Run ${advice}; and reconnect the pooler.`
  );
}

function wrongSettings(facts: DatabaseFacts, schema: string): [name: string, value: string][] {
  const checks: [isRight: boolean, name: string, value: string][] = [
    [utcNames.test(facts.timeZone), 'timezone', `'UTC'`],
    [facts.dateStyle.startsWith('ISO'), 'datestyle', `'ISO'`],
    [facts.clientEncoding === 'UTF8', 'client_encoding', `'UTF8'`],
    [facts.conformingStrings === 'on', 'standard_conforming_strings', 'on'],
    [facts.isolation === 'read committed', 'default_transaction_isolation', `'read committed'`],
    [facts.readOnly === 'off', 'default_transaction_read_only', 'off'],
    [facts.replicationRole === 'origin', 'session_replication_role', 'origin'],
    [facts.schema === null || facts.schema === schema, 'search_path', `"${schema}"`],
  ];
  return checks.filter(([isRight]) => !isRight).map(([, name, value]) => [name, value]);
}

/** Reads what `describeUnmetRequirement` judges. `query` runs a statement without parameters. */
export async function findUnmetRequirement(
  query: <Row>(sql: string) => Promise<Row[]>,
  schema: string,
): Promise<string | undefined> {
  const [facts] = await query<DatabaseFacts>(factsSql);
  return facts && describeUnmetRequirement(facts, schema);
}
