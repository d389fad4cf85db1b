import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, type RowOf, sql } from '../../platform/sql.ts';
import type { EmailAddress } from './email-address.ts';
import { isReservedEmail } from './email-reservation.sql.ts';

const accountColumns = {
  id: column.uuid<UserId>(),
  displayName: column.text(),
  isActive: column.boolean,
  emailVerified: column.boolean,
  hasPassword: column.boolean,
  isReserved: column.boolean,
};

/** Locks the account with an email address until the transaction ends. SQL for the row lock. */
export const lockAccount = (tx: Transaction, email: EmailAddress): Promise<RowOf<typeof accountColumns> | undefined> =>
  queryRow(
    tx,
    accountColumns,
    sql`
    SELECT id, display_name AS "displayName", is_active AS "isActive", email_verified AS "emailVerified",
           NOT starts_with(password_hash, '!') AS "hasPassword", ${isReservedEmail(email)} AS "isReserved"
    FROM users WHERE email = ${email} FOR NO KEY UPDATE`,
  );
