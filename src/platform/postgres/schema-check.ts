// The service relies on unique indexes, constraints and triggers. A restore that fails halfway leaves tables without them.
import { appliedMigrations, knownMigrations } from '../migrations.ts';
import { schemaObjects } from './schema-objects.ts';

/**
 * The unique indexes, foreign keys, CHECK constraints and triggers of the tables in the schema, except those that are invalid or
 * disabled. Every partition must have the triggers of its table. Names only: their definitions depend on the version of Postgres.
 */
const intactObjectsSql = `
  WITH enabled_triggers AS (SELECT * FROM pg_trigger WHERE tgenabled IN ('O', 'A')),
  objects (table_id, kind, name) AS (
    SELECT i.indrelid, 'unique index', c.relname
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indisunique AND i.indisvalid AND i.indisready AND i.indislive
    UNION ALL
    SELECT c.conrelid, CASE c.contype WHEN 'c' THEN 'check' ELSE 'foreign key' END, c.conname
    FROM pg_constraint AS c
    WHERE c.contype IN ('c', 'f') AND c.convalidated AND NOT EXISTS (
      SELECT FROM pg_trigger AS t WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))
    UNION ALL
    SELECT t.tgrelid, 'trigger', t.tgname
    FROM enabled_triggers AS t
    WHERE NOT t.tgisinternal AND NOT EXISTS (
      SELECT FROM pg_inherits AS p WHERE p.inhparent = t.tgrelid AND NOT EXISTS (
        SELECT FROM enabled_triggers AS own WHERE own.tgrelid = p.inhrelid AND own.tgname = t.tgname))
  )
  SELECT format('%s %s of %s', objects.kind, objects.name, t.relname) AS object
  FROM objects JOIN pg_class AS t ON t.oid = objects.table_id JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE n.nspname = current_schema() AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    AND t.relname <> '_prisma_migrations'
  ORDER BY t.relname COLLATE "C", objects.kind COLLATE "C", objects.name COLLATE "C"`;

type Query = <Row>(sql: string) => Promise<Row[]>;

/** The objects of the schema that are intact, such as `unique index users_email_key of users`. */
export const intactObjects = async (query: Query): Promise<string[]> =>
  (await query<{ object: string }>(intactObjectsSql)).map(({ object }) => object);

export interface SchemaProblem {
  state: 'pending' | 'damaged';
  /** What is wrong and what to do. */
  reason: string;
}

const maxNamed = 5;
const listed = (names: readonly string[]) =>
  names.length > maxNamed
    ? `${names.slice(0, maxNamed).join(', ')} and ${names.length - maxNamed} more`
    : names.join(', ');

/** Returns why the schema cannot be used; undefined if every migration is applied and everything that they created is intact. */
export async function findSchemaProblem(query: Query): Promise<SchemaProblem | undefined> {
  const known = await knownMigrations();
  const hasNewer = (applied: ReadonlySet<string>) => applied.size > known.length;
  const applied = await appliedMigrations(query);
  const pending = known.filter((name) => !applied.has(name));
  if (pending.length > 0)
    return { state: 'pending', reason: `migrations are not applied: ${pending.join(', ')}; run npm run db:migrate` };
  const intact = new Set(hasNewer(applied) ? schemaObjects : await intactObjects(query));
  const missing = schemaObjects.filter((object) => !intact.has(object));
  // A newer release may replace objects. Its migration may just have been committed.
  if (missing.length === 0 || hasNewer(await appliedMigrations(query))) return undefined;
  return {
    state: 'damaged',
    reason:
      `the database lacks the ${listed(missing)}, probably because a backup was restored while processes were running; ` +
      'stop every process and restore it again (docs/operating.md, "Restoring a backup")',
  };
}
