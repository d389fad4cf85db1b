// Statistics of the write-ahead log, from pg_walinspect.
import type pg from 'pg';

export interface Wal {
  /**
   * Without full-page images, which depend on the time of the last checkpoint. A record with a full-page image omits its own data, so
   * only a round without images shows the bytes of a rotation.
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

/** The statistics between two positions. HOT updates change no index entry. */
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
