import type { UserId } from '../../kernel/id.ts';
import type { Queryable } from '../../platform/postgres.ts';

/** The built-in role whose last active holder keeps it: else nobody could administer the service any more. */
export const adminRole = 'admin';

/**
 * Serializes whoever changes what roles give, who has them, or whether somebody who has them is active. Locked after the
 * rows of users, never before them.
 */
export async function lockGrants(tx: Queryable): Promise<void> {
  await tx.$queryRaw`SELECT 1 AS locked FROM roles WHERE name = ${adminRole} FOR NO KEY UPDATE`;
}

/** Whether nobody would administer the service without this user. Asked where `lockGrants` is held. */
async function isLastAdmin(tx: Queryable, id: UserId): Promise<boolean> {
  const admins = await tx.$queryRaw<{ id: UserId }[]>`
    SELECT u.id FROM user_roles JOIN users AS u ON u.id = user_roles.user_id
    WHERE user_roles.role = ${adminRole} AND u.is_active
    ORDER BY u.id = ${id}::uuid LIMIT 1`;
  return admins[0]?.id === id;
}

/** Whether a user whose row this transaction holds must stay, as the last who administers the service. */
export async function mustStay(tx: Queryable, id: UserId): Promise<boolean> {
  const holds = await tx.$queryRaw<unknown[]>`
    SELECT 1 AS holds FROM user_roles WHERE user_id = ${id}::uuid AND role = ${adminRole}`;
  if (holds.length === 0) return false;
  await lockGrants(tx);
  return isLastAdmin(tx, id);
}
