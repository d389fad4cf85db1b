import type { OneTimeTokenId, UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import type { OpaqueToken } from '../tokens/opaque-token.ts';
import type { EmailAddress } from '../users/email-address.ts';
import type { Purpose } from './one-time-token.ts';

type Token = OpaqueToken<OneTimeTokenId>;

export interface NewToken extends Token {
  userId: UserId;
  purpose: Purpose;
  /** The address that it is sent to. */
  email: EmailAddress;
  lifeSeconds: number;
}

/** Whose token was presented, and what of their account it concerns. */
export interface Bearer {
  tokenId: OneTimeTokenId;
  userId: UserId;
  purpose: Purpose;
  /** The address that the token was sent to. */
  email: EmailAddress;
  /** The account's address now. */
  currentEmail: EmailAddress;
  displayName: string;
}

/** The newest of its purpose takes the older one's row, and so its place. */
export async function issueToken(tx: Transaction, token: NewToken): Promise<void> {
  const { id, hash, userId, purpose, email, lifeSeconds } = token;
  await tx.$executeRaw`
    INSERT INTO one_time_tokens (id, user_id, purpose, email, token_hash, expires_at)
    VALUES (${id}::uuid, ${userId}::uuid, ${purpose}, ${email}, ${hash},
            clock_timestamp() + make_interval(secs => ${lifeSeconds}))
    ON CONFLICT (user_id, purpose) WHERE purpose <> 'email_undo' DO UPDATE SET
      id = EXCLUDED.id, email = EXCLUDED.email, token_hash = EXCLUDED.token_hash,
      created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at`;
}

const isPresented = ({ id, hash }: Token, purposes: readonly Purpose[]) => sql`
  t.id = ${id}::uuid AND t.token_hash = ${hash} AND t.purpose = ANY (${purposes}) AND clock_timestamp() < t.expires_at`;

const bearerColumns = sql`
  t.id AS "tokenId", u.id AS "userId", t.purpose, t.email, u.email AS "currentEmail", u.display_name AS "displayName"`;

export async function findBearer(
  db: Database,
  token: Token,
  purposes: readonly Purpose[],
): Promise<Bearer | undefined> {
  const [bearer] = await db.$queryRaw<Bearer[]>`
    SELECT ${bearerColumns} FROM one_time_tokens AS t JOIN users AS u ON u.id = t.user_id
    WHERE ${isPresented(token, purposes)} AND u.is_active`;
  return bearer;
}

/**
 * Deletes the token and acts, or neither. The user's row is locked before the token's, in the order of everybody who
 * voids tokens; whether the token is still there is asked after that.
 */
export const spendToken = <Result>(
  db: Database,
  token: Token,
  purposes: readonly Purpose[],
  act: (tx: Transaction, bearer: Bearer) => Promise<Result | undefined>,
): Promise<Result | undefined> =>
  db.$transaction(async (tx) => {
    await tx.$queryRaw`
      SELECT 1 AS locked FROM users AS u JOIN one_time_tokens AS t ON t.user_id = u.id
      WHERE t.id = ${token.id}::uuid FOR NO KEY UPDATE OF u`;
    const [bearer] = await tx.$queryRaw<Bearer[]>`
      DELETE FROM one_time_tokens AS t USING users AS u
      WHERE u.id = t.user_id AND u.is_active AND ${isPresented(token, purposes)}
      RETURNING ${bearerColumns}`;
    return bearer && act(tx, bearer);
  });

/** Voids every link of a user whose row this transaction holds, but those that undo a change of address. */
export async function voidTokens(tx: Transaction, userId: UserId): Promise<void> {
  await tx.$executeRaw`DELETE FROM one_time_tokens WHERE user_id = ${userId}::uuid AND purpose <> 'email_undo'`;
}

/**
 * Voids what an undo link that was just used overrules: all but the undo links of addresses that had the account before
 * its own. Else whoever moves an account twice would undo the second move, and the first for good. Ids tell what came
 * first; the oldest one of the address counts, so that it is minutes that part it from the next.
 */
export async function voidOverruled(tx: Transaction, { tokenId, userId, email }: Bearer): Promise<void> {
  await tx.$executeRaw`
    DELETE FROM one_time_tokens AS t
    WHERE t.user_id = ${userId}::uuid AND (t.purpose <> 'email_undo' OR t.email = ${email} OR t.id > LEAST(
      ${tokenId}::uuid,
      (SELECT own.id FROM one_time_tokens AS own
       WHERE own.user_id = ${userId}::uuid AND own.purpose = 'email_undo' AND own.email = ${email}
       ORDER BY own.id LIMIT 1)))`;
}

/** The undo links that were sent to an address begin their time anew: the change has only now happened. */
export async function renewUndoLinks(
  tx: Transaction,
  userId: UserId,
  email: EmailAddress,
  seconds: number,
): Promise<void> {
  await tx.$executeRaw`
    UPDATE one_time_tokens
    SET created_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => ${seconds})
    WHERE user_id = ${userId}::uuid AND purpose = 'email_undo' AND email = ${email}
      AND clock_timestamp() < expires_at`;
}

/**
 * Whether an address is kept for an account other than `ours`, whose change away from it can still be undone. Ask after
 * the address was taken, in a statement of its own: the change may only then be there to be seen.
 */
export const isReserved = (email: EmailAddress, ours: UserId): SqlFragment => sql`
  EXISTS (
    SELECT FROM one_time_tokens WHERE purpose = 'email_undo' AND email = ${email} AND user_id <> ${ours}::uuid
      AND clock_timestamp() < expires_at)`;

/** A token's time begins anew, as its letter leaves only now; false where it was spent or voided meanwhile. */
export async function beginLife(db: Database, id: OneTimeTokenId): Promise<boolean> {
  const renewed = await db.$executeRaw`
    UPDATE one_time_tokens SET created_at = clock_timestamp(), expires_at = clock_timestamp() + (expires_at - created_at)
    WHERE id = ${id}::uuid`;
  return renewed === 1;
}

/** Deletes expired tokens whose letters wait no longer, up to `batch`, and tells how many. Two processes take different rows. */
export const purgeTokens = (db: Database, batch: number): Promise<number> => db.$executeRaw`
  DELETE FROM one_time_tokens WHERE id IN (
    SELECT id FROM one_time_tokens AS t
    WHERE expires_at < statement_timestamp()
      AND NOT EXISTS (SELECT FROM mails WHERE token_id = t.id AND sent_at IS NULL AND failed_at IS NULL)
    ORDER BY expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
