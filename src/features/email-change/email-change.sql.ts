import type { EmailAddress } from '../../core/users/email-address.ts';
import { isReservedEmail } from '../../core/users/email-reservation.sql.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, sql } from '../../platform/sql.ts';

/**
 * Whether a user other than `ownerId` has an address or can still return to it. SQL for the database's clock and to check both at
 * the same time.
 */
export async function isTaken(tx: Transaction, email: EmailAddress, ownerId: UserId): Promise<boolean> {
  const row = await queryRow(
    tx,
    { isTaken: column.boolean },
    sql`
    SELECT EXISTS (SELECT FROM users WHERE email = ${email} AND id <> ${ownerId}::uuid)
        OR ${isReservedEmail(email, ownerId)} AS "isTaken"`,
  );
  return row?.isTaken ?? true;
}
