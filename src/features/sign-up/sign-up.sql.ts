import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import { isReservedEmail } from '../../core/users/email-reservation.sql.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { UserRow } from '../../core/users/user.ts';
import { selectUser, userColumns } from '../../core/users/users.sql.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { execute, queryRow, sql } from '../../platform/sql.ts';

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
    SELECT id, 'user' FROM users WHERE id = ${id}::uuid AND NOT ${isReservedEmail(email, id)}`,
  );

/** SQL for the set union of the scopes. */
export const findUser = (tx: Transaction, id: UserId): Promise<UserRow | undefined> =>
  queryRow(tx, userColumns, sql`SELECT ${selectUser} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`);
