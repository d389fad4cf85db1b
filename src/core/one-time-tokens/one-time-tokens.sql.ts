import type { OneTimeTokenId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';
import type { OpaqueToken } from '../tokens/opaque-token.ts';
import type { EmailAddress } from '../users/email-address.ts';
import type { Purpose } from './one-time-token.ts';

type Token = OpaqueToken<OneTimeTokenId>;

export interface NewToken extends Token {
  userId: UserId;
  purpose: Purpose;
  /** The address that it is sent to. */
  email: EmailAddress;
  lifetimeSeconds: number;
}

const holderColumns = {
  tokenId: column.uuid<OneTimeTokenId>(),
  userId: column.uuid<UserId>(),
  purpose: column.text<Purpose>(),
  /** The address that the token was sent to. */
  email: column.text<EmailAddress>(),
  /** The user's address now. */
  currentEmail: column.text<EmailAddress>(),
  isCurrentEmailVerified: column.boolean,
  displayName: column.text(),
  /** The database's clock in milliseconds since the epoch. */
  nowMs: column.double,
};

/** The user who holds a token. */
export type TokenHolder = RowOf<typeof holderColumns>;

const holder = sql`
  t.id AS "tokenId", u.id AS "userId", t.purpose, t.email, u.email AS "currentEmail",
  u.email_verified AS "isCurrentEmailVerified", u.display_name AS "displayName",
  FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::float8 AS "nowMs"`;

const isValid = ({ id, hash }: Token, purposes: readonly Purpose[]) => sql`
  t.id = ${id}::uuid AND t.token_hash = ${hash} AND t.purpose = ANY (${purposes}) AND clock_timestamp() < t.expires_at
  AND u.is_active`;

/**
 * Inserts a token, in the row of the user's older token of the same purpose if one exists. SQL for the conflict with a partial
 * unique index and for the database's clock.
 */
export async function upsertToken(tx: Transaction, token: NewToken): Promise<void> {
  const { id, hash, userId, purpose, email, lifetimeSeconds } = token;
  await execute(
    tx,
    sql`
    INSERT INTO one_time_tokens (id, user_id, purpose, email, token_hash, expires_at)
    VALUES (${id}::uuid, ${userId}::uuid, ${purpose}, ${email}, ${hash},
            clock_timestamp() + make_interval(secs => ${lifetimeSeconds}))
    ON CONFLICT (user_id, purpose) WHERE purpose <> 'email_undo' DO UPDATE SET
      id = EXCLUDED.id, email = EXCLUDED.email, token_hash = EXCLUDED.token_hash,
      created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at`,
  );
}

/** The holder of a valid token. SQL for the database's clock. */
export const findTokenHolder = (tx: Transaction, token: Token, purpose: Purpose): Promise<TokenHolder | undefined> =>
  queryRow(
    tx,
    holderColumns,
    sql`
    SELECT ${holder} FROM one_time_tokens AS t JOIN users AS u ON u.id = t.user_id
    WHERE ${isValid(token, [purpose])}`,
  );

/** Locks the user who holds a token. SQL for the row lock. */
export const lockUserOfToken = (tx: Transaction, id: OneTimeTokenId): Promise<number> =>
  execute(
    tx,
    sql`
    SELECT FROM users AS u JOIN one_time_tokens AS t ON t.user_id = u.id
    WHERE t.id = ${id}::uuid FOR NO KEY UPDATE OF u`,
  );

/** Deletes a valid token and returns its holder. SQL because one execution decides which of several requests spends it. */
export const deleteToken = (
  tx: Transaction,
  token: Token,
  purposes: readonly Purpose[],
): Promise<TokenHolder | undefined> =>
  queryRow(
    tx,
    holderColumns,
    sql`
    DELETE FROM one_time_tokens AS t USING users AS u
    WHERE u.id = t.user_id AND ${isValid(token, purposes)}
    RETURNING ${holder}`,
  );

/**
 * Invalidates the tokens that a spent undo link overrides: all except the undo links of addresses that the account had before
 * the restored one. Otherwise an attacker who changes the address twice could undo the second change and thereby make the first
 * one permanent. The ids show which address was first; the oldest token of an address counts. SQL for the set-based deletion.
 */
export async function invalidateOverriddenTokens(
  tx: Transaction,
  { tokenId, userId, email }: TokenHolder,
): Promise<void> {
  await execute(
    tx,
    sql`
    DELETE FROM one_time_tokens AS t
    WHERE t.user_id = ${userId}::uuid AND (t.purpose <> 'email_undo' OR t.email = ${email} OR t.id > LEAST(
      ${tokenId}::uuid,
      (SELECT own.id FROM one_time_tokens AS own
       WHERE own.user_id = ${userId}::uuid AND own.purpose = 'email_undo' AND own.email = ${email}
       ORDER BY own.id LIMIT 1)))`,
  );
}

/** Restarts the lifetime of the undo links of an address, because the change takes effect only now. SQL for the database's clock. */
export async function extendUndoTokens(
  tx: Transaction,
  userId: UserId,
  email: EmailAddress,
  seconds: number,
): Promise<void> {
  await execute(
    tx,
    sql`
    UPDATE one_time_tokens
    SET created_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => ${seconds})
    WHERE user_id = ${userId}::uuid AND purpose = 'email_undo' AND email = ${email}
      AND clock_timestamp() < expires_at`,
  );
}

/**
 * Restarts the lifetime of a token when its email is sent; false if it was spent or invalidated. SQL for the database's clock.
 */
export async function restartLifetime(tx: Transaction, id: OneTimeTokenId): Promise<boolean> {
  const restarted = await execute(
    tx,
    sql`
    UPDATE one_time_tokens SET created_at = clock_timestamp(), expires_at = clock_timestamp() + (expires_at - created_at)
    WHERE id = ${id}::uuid`,
  );
  return restarted === 1;
}

/**
 * Deletes up to `batch` expired tokens, except those whose email is still waiting, and returns the number. SQL for the set-based
 * deletion; two processes delete different rows.
 */
export const purgeTokens = (tx: Transaction, batch: number): Promise<number> =>
  execute(
    tx,
    sql`
    DELETE FROM one_time_tokens WHERE id IN (
      SELECT id FROM one_time_tokens AS t
      WHERE expires_at < statement_timestamp()
        AND NOT EXISTS (SELECT FROM mails WHERE token_id = t.id AND sent_at IS NULL AND failed_at IS NULL)
      ORDER BY expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
  );
