import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import { isReserved } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { UserRow } from '../../core/users/user.ts';
import { userColumns } from '../../core/users/users.store.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, sql } from '../../platform/sql.ts';

export interface NewAccount {
  id: UserId;
  email: EmailAddress;
  displayName: string;
  passwordHash: string;
}

/**
 * Grants the role `user` to the user if it was inserted and its email address is not reserved by another account. SQL so that free
 * and taken addresses run the same statements.
 */
export const grantUserRole = (tx: Transaction, { id, email }: NewAccount): Promise<number> =>
  execute(
    tx,
    sql`
    INSERT INTO user_roles (user_id, role)
    SELECT id, 'user' FROM users WHERE id = ${id}::uuid AND NOT ${isReserved(email, id)}`,
  );

/** SQL for the set union of the scopes. */
export const findUser = (tx: Transaction, id: UserId): Promise<UserRow | undefined> =>
  queryRow(
    tx,
    {
      id: column.uuid<UserId>(),
      email: column.text(),
      emailVerified: column.boolean,
      displayName: column.text(),
      roles: column.textArray,
      heldScopes: column.textArray,
      createdAt: column.timestamptz,
      updatedAt: column.timestamptz,
    },
    sql`SELECT ${userColumns} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`,
  );
