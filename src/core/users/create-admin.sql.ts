import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';
import type { EmailAddress } from './email-address.ts';
import { isReservedEmail } from './email-reservation.sql.ts';

export interface NewUser {
  id: UserId;
  email: EmailAddress;
  displayName: string;
  passwordHash: string;
}

/** Inserts a user; 0 if the email address belongs to an account or is reserved. SQL because this statement decides the race. */
export const insertUserIfAvailable = (tx: Transaction, { id, email, displayName, passwordHash }: NewUser) =>
  execute(
    tx,
    sql`
    INSERT INTO users (id, email, display_name, password_hash)
    SELECT ${id}::uuid, ${email}, ${displayName}, ${passwordHash}
    WHERE NOT ${isReservedEmail(email)}
    ON CONFLICT (email) DO NOTHING`,
  );

const accountColumns = {
  id: column.uuid<UserId>(),
  isActive: column.boolean,
  emailVerified: column.boolean,
  hasPassword: column.boolean,
};

/** Locks the account with an email address until the transaction ends. SQL for the row lock. */
export const lockAccount = (tx: Transaction, email: EmailAddress): Promise<RowOf<typeof accountColumns> | undefined> =>
  queryRow(
    tx,
    accountColumns,
    sql`
    SELECT id, is_active AS "isActive", email_verified AS "emailVerified",
           NOT starts_with(password_hash, '!') AS "hasPassword"
    FROM users WHERE email = ${email} FOR NO KEY UPDATE`,
  );
