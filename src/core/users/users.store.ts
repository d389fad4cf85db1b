import type { UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import type { EmailAddress } from './email-address.ts';
import { joinGrants } from '../authorization/fragments.sql.ts';

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
  emailVerified: boolean;
  heldScopes: string[];
}

export async function findCredentials(db: Database, email: EmailAddress): Promise<Credentials | undefined> {
  const [row] = await db.$queryRaw<Credentials[]>`
    SELECT u.id, u.password_hash AS "passwordHash", u.is_active AS "isActive",
           u.email_verified AS "emailVerified", COALESCE(grants.scopes, '{}') AS "heldScopes"
    FROM users AS u ${joinGrants}
    WHERE u.email = ${email}`;
  return row;
}

/** The account that has an address, as far as letters to it go. */
export interface Addressee {
  id: UserId;
  email: EmailAddress;
  displayName: string;
  emailVerified: boolean;
  isActive: boolean;
}

const addresseeColumns = sql`
  id, email, display_name AS "displayName", email_verified AS "emailVerified", is_active AS "isActive"`;

/** Locks the row of whoever has an address until the transaction ends; undefined where nobody has it. */
export async function lockAddressee(tx: Transaction, email: EmailAddress): Promise<Addressee | undefined> {
  const [row] = await tx.$queryRaw<Addressee[]>`
    SELECT ${addresseeColumns} FROM users WHERE email = ${email} FOR NO KEY UPDATE`;
  return row;
}

/** Where letters about an account go, whose row this transaction holds. */
export async function addresseeOf(tx: Transaction, id: UserId): Promise<Addressee> {
  const [row] = await tx.$queryRaw<Addressee[]>`SELECT ${addresseeColumns} FROM users WHERE id = ${id}::uuid`;
  if (!row) throw new Error('an account whose row is locked is not there');
  return row;
}

/** Whether the hash that was verified is still that of a user whose row this transaction holds. */
export async function hasHash(tx: Transaction, id: UserId, verified: string): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`
    SELECT 1 AS same FROM users WHERE id = ${id}::uuid AND password_hash = ${verified}`;
  return rows.length === 1;
}

/** Replaces a hash by another of the same password, unless the password has changed meanwhile. */
export async function replaceHash(tx: Transaction, id: UserId, verified: string, hash: string): Promise<boolean> {
  const changed = await tx.$executeRaw`
    UPDATE users SET password_hash = ${hash} WHERE id = ${id}::uuid AND password_hash = ${verified}`;
  return changed === 1;
}
