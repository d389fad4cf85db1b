// The signing keys as the database has them, and the passing of time without waiting for it.
import { decodeProtectedHeader } from 'jose';
import type pg from 'pg';
import type { Client } from '../harness.ts';

export interface KeyRow {
  kid: string;
  alg: string;
  status: 'next' | 'active' | 'retired' | 'revoked';
  masterKeyId: string;
  sealedKey: Buffer;
  readyAt: Date;
}

/** The oldest first. */
export async function readKeyRows(sql: pg.Pool): Promise<KeyRow[]> {
  const { rows } = await sql.query<KeyRow>(
    `SELECT kid, alg, status, master_key_id AS "masterKeyId", sealed_key AS "sealedKey", ready_at AS "readyAt"
     FROM signing_keys ORDER BY created_at`,
  );
  return rows;
}

/** The one key of a status. */
export async function keyOf(sql: pg.Pool, status: KeyRow['status'], alg = 'ES256'): Promise<string> {
  const found = (await readKeyRows(sql)).filter((row) => row.status === status && row.alg === alg);
  const [key, ...others] = found;
  if (!key || others.length > 0) throw new Error(`${found.length} ${status} keys of ${alg}`);
  return key.kid;
}

/** As if `seconds` had passed for every key: every time that decides anything moves back. */
export async function letKeysPass(sql: pg.Pool, seconds: number): Promise<void> {
  const columns = ['created_at', 'ready_at', 'asked_at', 'wanted_at', 'activated_at', 'retired_at', 'revoked_at'];
  const sets = columns.map((column) => `${column} = ${column} - make_interval(secs => $1)`);
  await sql.query(`UPDATE signing_keys SET ${sets.join(', ')}`, [seconds]);
}

export interface KeyEvent {
  type: string;
  kid: string;
  reason: string;
}

/** What the audit trail says of the keys, in order, without the `signing_key.` before each type. */
export async function keyEvents(sql: pg.Pool): Promise<KeyEvent[]> {
  const { rows } = await sql.query<KeyEvent>(
    `SELECT substr(type, 13) AS type, kid, reason FROM audit_events
     WHERE type LIKE 'signing_key.%' AND outcome = 'success' AND actor_id IS NULL ORDER BY occurred_at`,
  );
  return rows;
}

export const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;

/** The kids of the JWKS. */
export async function publishedBy({ get }: Pick<Client, 'get'>): Promise<string[]> {
  const { keys } = JSON.parse((await get('/.well-known/jwks.json')).text) as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

/** Resolves with how long it took, in ms, once `holds`; looks every 20 ms. */
export async function until(holds: () => Promise<boolean> | boolean, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const ms = performance.now() - startedMs;
    if (await holds()) return ms;
    if (ms > withinMs) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
