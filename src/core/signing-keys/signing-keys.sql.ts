// The statements that change the status of a key use the database's clock, so that all processes agree on the time.
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, queryRows, type RowOf, sql } from '../../platform/sql.ts';
import type { KeyState } from './key-lifecycle.ts';
import { type KeyTiming, unusedAfterSeconds, usageUpdateSeconds } from './key-timing.ts';
import type { NewSealedKey } from './sealed-keys.ts';
import type { SigningAlg } from './signing-key.ts';

/** The channel that announces changes of keys to all processes. */
export const signingKeysChannel = 'keyturn_signing_keys';

const intervalOf = (seconds: number | null) => sql`make_interval(secs => ${seconds}::float8)`;

/** Serializes all changes of a key's status. SQL for the advisory lock. */
export const lockSigningKeys = (tx: Transaction): Promise<number> =>
  execute(tx, sql`SELECT FROM pg_advisory_xact_lock(5418219031)`);

/** Notifies every process when this transaction commits. SQL for NOTIFY. */
export const notifyProcesses = (tx: Transaction): Promise<number> =>
  execute(tx, sql`SELECT FROM pg_notify(${signingKeysChannel}, '')`);

const stateColumns = {
  kid: column.text(),
  alg: column.text<SigningAlg>(),
  status: column.text<KeyState['status']>(),
  sealedKey: column.bytea,
  masterKeyId: column.text(),
  activatedAt: column.nullable(column.timestamptz),
  isReady: column.boolean,
  isRequested: column.boolean,
  isDue: column.boolean,
  isUnused: column.boolean,
  lacksRequirements: column.boolean,
  isExpired: column.boolean,
};
export type SealedKeyState = RowOf<typeof stateColumns>;

/** Every key that is not revoked, newest first. SQL because the database's clock decides. */
export const readKeyStates = (tx: Transaction, alg: SigningAlg, timing: KeyTiming): Promise<SealedKeyState[]> =>
  queryRows(
    tx,
    stateColumns,
    sql`
    SELECT kid, alg, status, sealed_key AS "sealedKey", master_key_id AS "masterKeyId", activated_at AS "activatedAt",
           ready_at <= now AS "isReady",
           asked_at IS NOT NULL AS "isRequested",
           coalesce(activated_at + ${intervalOf(timing.rotationSeconds)} <= now, false) AS "isDue",
           wanted_at + ${intervalOf(unusedAfterSeconds)} <= now AS "isUnused",
           status <> 'retired' AND (
             (alg = ${alg} AND wanted_at + ${intervalOf(usageUpdateSeconds)} <= now)
             OR access_ttl_seconds < ${timing.accessTtlSeconds}::int
             OR (status = 'next' AND ready_at < created_at + ${intervalOf(timing.publicationSeconds)})
           ) AS "lacksRequirements",
           coalesce(retired_at + access_ttl_seconds * interval '1 second' + ${intervalOf(timing.retentionSeconds)} <= now,
                    false) AS "isExpired"
    FROM signing_keys, clock_timestamp() AS now
    WHERE status <> 'revoked' ORDER BY created_at DESC, kid`,
  );

/** Stores the requirements of this process. The values only increase, because other processes may require more. SQL for the clock. */
export const storeRequirements = (tx: Transaction, alg: SigningAlg, timing: KeyTiming): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE signing_keys SET
      wanted_at = CASE WHEN alg = ${alg} THEN clock_timestamp() ELSE wanted_at END,
      access_ttl_seconds = greatest(access_ttl_seconds, ${timing.accessTtlSeconds}::int),
      ready_at = greatest(ready_at, created_at + ${intervalOf(timing.publicationSeconds)})
    WHERE status IN ('next', 'active')`,
  );

/**
 * Inserts a key; an active one is ready immediately. Fails if the unique index of its status is missing: while a backup is restored,
 * the table is empty before it has its indexes, and a key that is created then is one too many. SQL for the clock and the index.
 */
export function insertKey(tx: Transaction, key: NewSealedKey, status: 'next' | 'active', timing: KeyTiming) {
  const { kid, alg, publicJwk, sealedKey, masterKeyId } = key;
  const isActive = status === 'active';
  return execute(
    tx,
    sql`
    INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, created_at, activated_at, ready_at,
                              access_ttl_seconds)
    SELECT ${kid}, ${alg}, ${status}, ${JSON.stringify(publicJwk)}::jsonb, ${sealedKey}, ${masterKeyId}, now,
           ${isActive ? sql`now` : sql`NULL`},
           ${isActive ? sql`now` : sql`now + ${intervalOf(timing.publicationSeconds)}`}, ${timing.accessTtlSeconds}::int
    FROM clock_timestamp() AS now
    ON CONFLICT (alg) WHERE ${isActive ? sql`status = 'active'` : sql`status = 'next'`} DO NOTHING`,
  );
}

const kidColumns = { kid: column.text() };

/** Activates the next key of an algorithm; undefined if none exists. SQL for the clock. */
export const activateNextKey = (tx: Transaction, alg: string): Promise<RowOf<typeof kidColumns> | undefined> =>
  queryRow(
    tx,
    kidColumns,
    sql`
    UPDATE signing_keys SET status = 'active', activated_at = clock_timestamp()
    WHERE alg = ${alg} AND status = 'next' RETURNING kid`,
  );

/** Retires the active key of an algorithm; undefined if none exists. SQL for the clock. */
export const retireActiveKey = (tx: Transaction, alg: string): Promise<RowOf<typeof kidColumns> | undefined> =>
  queryRow(
    tx,
    kidColumns,
    sql`
    UPDATE signing_keys SET status = 'retired', retired_at = clock_timestamp()
    WHERE alg = ${alg} AND status = 'active' RETURNING kid`,
  );

/** Revokes a key and destroys its private half. SQL for the clock. */
export const markRevoked = (tx: Transaction, kid: string): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE signing_keys SET status = 'revoked', revoked_at = clock_timestamp(), sealed_key = '' WHERE kid = ${kid}`,
  );

const nextKeyColumns = {
  kid: column.text(),
  activeKid: column.nullable(column.text()),
  activatedAt: column.nullable(column.timestamptz),
  isReady: column.boolean,
  readyAt: column.timestamptz,
  wasJustRotated: column.boolean,
};

/**
 * The next key of each algorithm. `wasJustRotated` means that the active key replaced another one less than a publication period ago.
 * SQL because the database's clock decides.
 */
export const findNextKeys = (tx: Transaction): Promise<RowOf<typeof nextKeyColumns>[]> =>
  queryRows(
    tx,
    nextKeyColumns,
    sql`
    SELECT n.kid, a.kid AS "activeKid", a.activated_at AS "activatedAt", n.ready_at <= now AS "isReady",
           n.ready_at AS "readyAt",
           coalesce(a.activated_at > a.created_at AND n.ready_at > now
             AND a.activated_at + (n.ready_at - n.created_at) > now, false) AS "wasJustRotated"
    FROM clock_timestamp() AS now, signing_keys AS n
    LEFT JOIN signing_keys AS a ON a.alg = n.alg AND a.status = 'active'
    WHERE n.status = 'next' ORDER BY n.created_at DESC`,
  );

/** Requests the activation of a next key; 0 if it is already requested. SQL for the clock. */
export const markRequested = (tx: Transaction, kid: string): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE signing_keys SET asked_at = clock_timestamp() WHERE kid = ${kid} AND asked_at IS NULL`,
  );
