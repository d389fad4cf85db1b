import type { Principal } from './principal.ts';
import { InsufficientScope } from '../errors.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { SqlFragment } from '../../platform/sql.ts';
import { joinGrants } from './fragments.sql.ts';
import { lockGrants } from './authorization.sql.ts';
import { isCaller } from './caller.store.ts';

/** A caller who may administer, and what their roles give them now, whatever their access token says. */
export interface Administrator extends Principal {
  roles: readonly string[];
  held: readonly string[];
}

export interface AdminAct {
  /** The scopes that it needs: of the token, and of the caller's roles now. */
  needs: readonly string[];
  /** Whose account it is about. */
  on?: UserId;
  /** Whether it may change who may do what. */
  changesGrants?: boolean;
}

/** Undefined where the caller is dead. @throws InsufficientScope */
export async function findAdministrator(
  tx: Transaction,
  principal: Principal,
  needs: readonly string[],
): Promise<Administrator | undefined> {
  const [now] = await tx.$queryRaw<Pick<Administrator, 'roles' | 'held'>[]>`
    SELECT COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS held
    FROM users AS u ${joinGrants} WHERE ${isCaller(principal)}`;
  if (!now) return undefined;
  const lacking = needs.filter((scope) => !now.held.includes(scope) || !principal.scopes.includes(scope));
  if (lacking.length > 0) throw new InsufficientScope(lacking.join(' '));
  return { ...principal, ...now };
}

/**
 * Acts in one transaction for an administrator, with their own row and that of the other user locked, in the order of the
 * ids: two who act on each other wait, and do not block one another. Undefined where the caller is dead.
 * @throws InsufficientScope, before anything is done
 */
export const actAsAdministrator = <Result>(
  db: Database,
  principal: Principal,
  { needs, on, changesGrants = false }: AdminAct,
  act: (tx: Transaction, administrator: Administrator) => Promise<Result>,
): Promise<Result | undefined> =>
  db.$transaction(async (tx) => {
    const ids = on ? [principal.userId, on] : [principal.userId];
    await tx.$queryRaw`
      SELECT 1 AS locked FROM users WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
    if (changesGrants) await lockGrants(tx);
    const administrator = await findAdministrator(tx, principal, needs);
    return administrator && act(tx, administrator);
  });

/**
 * Reads the rows of `page` for an administrator in one statement, by columns of it. Undefined where the caller is dead.
 * @throws InsufficientScope
 */
export async function readAsAdministrator<Row extends object>(
  db: Database,
  principal: Principal,
  scope: string,
  { page, order }: { page: SqlFragment; order: SqlFragment },
): Promise<Row[] | undefined> {
  const rows = await db.$queryRaw<{ holds: boolean; isRow: boolean }[]>`
    WITH caller AS (
      SELECT COALESCE(${scope} = ANY (grants.scopes), false) AS holds FROM users AS u ${joinGrants}
      WHERE ${isCaller(principal)}
    )
    SELECT caller.holds, page.*, page.is_row IS NOT NULL AS "isRow"
    FROM caller LEFT JOIN LATERAL (SELECT true AS is_row, found.* FROM (${page}) AS found) AS page ON caller.holds
    ORDER BY ${order}`;
  const [first] = rows;
  if (first && !first.holds) throw new InsufficientScope(scope);
  return first && (rows.filter(({ isRow }) => isRow) as unknown as Row[]);
}
