import type { Caller } from '../../http/authenticate.ts';
import { InsufficientScope } from '../../http/refusals.ts';
import type { UserId } from '../../kernel/id.ts';
import { type Database, type Queryable, sql, type SqlFragment } from '../../platform/postgres.ts';
import { isKeyLive } from '../api-keys/api-keys.store.ts';
import { joinGrants } from '../users/grants.store.ts';
import { isLive } from './sessions.store.ts';

/** Whether user `u` is the caller, by a session or an API key that lives. */
export const isCaller = ({ sessionId, apiKeyId }: Caller): SqlFragment =>
  sessionId === undefined
    ? sql`u.is_active AND u.id = (
        SELECT k.user_id FROM api_keys AS k WHERE k.id = ${apiKeyId ?? null}::uuid AND ${isKeyLive})`
    : sql`u.is_active AND u.id = (SELECT s.user_id FROM sessions AS s WHERE s.id = ${sessionId}::uuid AND ${isLive})`;

/** Whether the caller's roles give a scope now: an access token may be older than a demotion. Undefined where they are dead. */
async function holdsNow(tx: Queryable, caller: Caller, scope: string): Promise<boolean | undefined> {
  const [row] = await tx.$queryRaw<{ holds: boolean }[]>`
    SELECT COALESCE(${scope} = ANY (grants.scopes), false) AS holds FROM users AS u ${joinGrants}
    WHERE ${isCaller(caller)}`;
  return row?.holds;
}

/** Whether the caller lives, and may do this by their roles of now. False where they are dead. @throws InsufficientScope */
export async function isCallerWith(tx: Queryable, caller: Caller, scope: string): Promise<boolean> {
  const holds = await holdsNow(tx, caller, scope);
  if (holds === false) throw new InsufficientScope(scope);
  return holds !== undefined;
}

/**
 * Whose things a caller may touch: their own, or, where they hold the administrators' `scope` now, anybody's (null).
 * Somebody else's thing is then not there, however it is asked for.
 */
export async function ownerFor(tx: Queryable, caller: Caller, scope: string): Promise<UserId | null> {
  const isAdministrator = caller.scopes.includes(scope) && (await holdsNow(tx, caller, scope));
  return isAdministrator ? null : caller.userId;
}

/**
 * Acts in one transaction for a caller who lives, with their own user's row locked: what races it comes before or after
 * as a whole. Whether they live is asked after the lock was had. Undefined where they are dead: nothing was done.
 */
export async function actAsCaller<Result>(
  db: Database,
  caller: Caller,
  act: (tx: Queryable) => Promise<Result>,
): Promise<Result | undefined> {
  return db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 AS locked FROM users WHERE id = ${caller.userId}::uuid FOR NO KEY UPDATE`;
    const live = await tx.$queryRaw<unknown[]>`
      SELECT 1 AS live FROM users AS u WHERE u.id = ${caller.userId}::uuid AND ${isCaller(caller)}`;
    return live.length === 1 ? act(tx) : undefined;
  });
}
