// Rows of signing keys, and the passing of time without waiting for it.
import type { Sql } from './sql.ts';

export type KeyStatus = 'next' | 'active' | 'retired' | 'revoked';

export interface KeyRow {
  kid: string;
  alg: string;
  status: KeyStatus;
  masterKeyId: string;
  sealedKey: Buffer;
  readyAt: Date;
}

/** A new key with the key material of an existing one. */
export interface KeyCopy {
  kid?: string;
  status: KeyStatus;
  /** The status of the key to copy; any key if missing. */
  of?: KeyStatus;
  masterKeyId?: string;
  publicJwk?: object;
}

const timeColumns = ['created_at', 'ready_at', 'asked_at', 'wanted_at', 'activated_at', 'retired_at', 'revoked_at'];

export const signingKeyRows = (sql: Sql) => {
  /** Every key, oldest first. */
  const all = () =>
    sql.rows<KeyRow>(
      `SELECT kid, alg, status, master_key_id AS "masterKeyId", sealed_key AS "sealedKey", ready_at AS "readyAt"
       FROM signing_keys ORDER BY created_at`,
    );
  return {
    all,
    /** Key id of the only key with this status and algorithm. @throws unless exactly one exists */
    kid: async (status: KeyStatus, alg = 'ES256'): Promise<string> => {
      const [key, ...others] = (await all()).filter((row) => row.status === status && row.alg === alg);
      if (!key || others.length > 0) throw new Error(`${key ? others.length + 1 : 0} ${status} keys of ${alg}`);
      return key.kid;
    },
    /** Every column of every key as text, to search for secrets. */
    asText: async (): Promise<string[]> =>
      (await sql.rows<{ line: string }>('SELECT t::text AS line FROM signing_keys AS t')).map(({ line }) => line),
    /** Moves every time of every key back, as if `seconds` had passed. */
    age: (seconds: number) =>
      sql.run(
        `UPDATE signing_keys SET ${timeColumns.map((column) => `${column} = ${column} - make_interval(secs => $1)`).join(', ')}`,
        [seconds],
      ),
    /** Moves back the time at which a process with this algorithm last ran. */
    ageWanted: (alg: string, seconds: number) =>
      sql.run('UPDATE signing_keys SET wanted_at = wanted_at - make_interval(secs => $2) WHERE alg = $1', [
        alg,
        seconds,
      ]),
    /** Requests the rotation of every key, as an operator does. */
    requestRotation: () => sql.run('UPDATE signing_keys SET asked_at = clock_timestamp()'),
    retire: (status: KeyStatus) =>
      sql.run(`UPDATE signing_keys SET status = 'retired', retired_at = clock_timestamp() WHERE status = $1`, [status]),
    activate: (status: KeyStatus) =>
      sql.run(`UPDATE signing_keys SET status = 'active', activated_at = clock_timestamp() WHERE status = $1`, [
        status,
      ]),
    /** Deletes the keys with this status; every key if `status` is missing. */
    remove: (status?: KeyStatus) =>
      sql.run('DELETE FROM signing_keys WHERE status = COALESCE($1, status)', [status ?? null]),
    /** Inserts a copy of a key and returns its key id. */
    insertCopy: async ({ kid, status, of, masterKeyId, publicJwk }: KeyCopy): Promise<string> =>
      (
        await sql.one<{ kid: string }>(
          `INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, retired_at)
           SELECT COALESCE($1, left(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '_'), 43)), alg, $2::text,
                  COALESCE($3, public_jwk), sealed_key, COALESCE($4, master_key_id), CASE WHEN $2 = 'retired' THEN now() END
           FROM signing_keys WHERE status = COALESCE($5, status) LIMIT 1 RETURNING kid`,
          [kid ?? null, status, publicJwk ?? null, masterKeyId ?? null, of ?? null],
        )
      ).kid,
    /** Adds members to the public JWK of every key. */
    addToPublicJwks: (members: object) => sql.run('UPDATE signing_keys SET public_jwk = public_jwk || $1', [members]),
    /** Flips one bit of every sealed key. */
    corrupt: () =>
      sql.run('UPDATE signing_keys SET sealed_key = set_byte(sealed_key, 40, get_byte(sealed_key, 40) # 1)'),
  };
};
