// What was written to the write-ahead log, read back from it by pg_walinspect.
import type pg from 'pg';

export interface Wal {
  /**
   * Full-page images aside: they depend on when the last checkpoint was, not on what was run. A record whose page goes
   * along as an image leaves its own data out, so only a round without images tells the bytes of a turn.
   */
  bytes: number;
  imageBytes: number;
  updates: number;
  hotUpdates: number;
}

export async function walPosition(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
  return rows[0]?.lsn ?? '';
}

/** The record types are those of Postgres' heap: an update in place of every index entry is HOT, any other is not. */
export async function walBetween(client: pg.Client, from: string, to: string): Promise<Wal> {
  const { rows } = await client.query<Wal>(
    `SELECT (pg_wal_lsn_diff($2, $1) - sum(fpi_size))::float8 AS bytes,
            sum(fpi_size)::float8 AS "imageBytes",
            sum(count) FILTER (WHERE kind ~ '^Heap/(HOT_)?UPDATE')::float8 AS updates,
            sum(count) FILTER (WHERE kind ~ '^Heap/HOT_UPDATE')::float8 AS "hotUpdates"
     FROM pg_get_wal_stats($1, $2, true) AS stats (kind, count, count_percentage, record_size, record_percentage, fpi_size)`,
    [from, to],
  );
  if (!rows[0]) throw new Error('the write-ahead log cannot be read');
  return rows[0];
}
