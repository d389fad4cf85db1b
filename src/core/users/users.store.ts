import type { UserId } from '../../kernel/id.ts';
import { type Database, type Queryable, sql, type SqlFragment } from '../../platform/postgres.ts';
import type { Email } from './email.ts';
import { joinGrants } from './grants.store.ts';

/** The columns of `UserRow`, of user `u` joined with its `grants`. */
export const userColumns: SqlFragment = sql`
  u.id, u.email, u.email_verified AS "emailVerified", u.display_name AS "displayName",
  COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS "heldScopes",
  u.created_at AS "createdAt", u.updated_at AS "updatedAt"`;

/** What a login by password looks up. */
export interface Credentials {
  id: UserId;
  passwordHash: string;
  isActive: boolean;
  heldScopes: string[];
}

export async function findCredentials(db: Database, email: Email): Promise<Credentials | undefined> {
  const [row] = await db.$queryRaw<Credentials[]>`
    SELECT u.id, u.password_hash AS "passwordHash", u.is_active AS "isActive",
           COALESCE(grants.scopes, '{}') AS "heldScopes"
    FROM users AS u ${joinGrants}
    WHERE u.email = ${email}`;
  return row;
}

/** Replaces a hash by another of the same password, unless the password has changed meanwhile. */
export async function replaceHash(tx: Queryable, id: UserId, verified: string, hash: string): Promise<boolean> {
  const changed = await tx.$executeRaw`
    UPDATE users SET password_hash = ${hash} WHERE id = ${id}::uuid AND password_hash = ${verified}`;
  return changed === 1;
}
