import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRows, sql } from '../../platform/sql.ts';
import { isReservedEmail } from '../users/email-reservation.sql.ts';
import type { ImportedUser } from './imported-user.ts';

export interface ImportRow extends ImportedUser {
  id: UserId;
  line: number;
}

export interface RefusedLine {
  line: number;
  reasons: string[];
}

/** A range of lines that is imported in one transaction. */
export interface LineRange {
  /** The offset of its first line. */
  from: number;
  /** The offset after its last line. */
  to: number;
  /** The number of lines, including empty ones. */
  lines: number;
  /** Whether it is the last range of the file. */
  isLast: boolean;
}

/** Claims a range of lines; 0 if another process has imported it. SQL because this statement decides which process imports it. */
export const claimRange = (tx: Transaction, fileSha256: Uint8Array, { from, to, lines, isLast }: LineRange) =>
  execute(
    tx,
    sql`
    UPDATE user_imports SET next_byte = ${BigInt(to)}, lines = lines + ${lines}::int,
      finished_at = CASE WHEN ${isLast} THEN clock_timestamp() END
    WHERE file_sha256 = ${fileSha256} AND next_byte = ${BigInt(from)} AND finished_at IS NULL`,
  );

/**
 * Inserts users and their roles and returns the ids of those whose email addresses were available. Inserts in the order of the email
 * addresses, so that imports of different files do not deadlock. SQL for one statement per batch.
 */
export const insertUsers = (tx: Transaction, rows: readonly ImportRow[]): Promise<{ id: UserId }[]> =>
  queryRows(
    tx,
    { id: column.uuid<UserId>() },
    sql`
    WITH given AS (
      SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::json) AS given(
        id uuid, line int, email text, "displayName" text, "passwordHash" text, "emailVerified" boolean,
        "isActive" boolean, "createdAt" timestamptz, roles text[])
    ), inserted AS (
      INSERT INTO users (id, email, display_name, password_hash, email_verified, is_active, created_at)
      SELECT id, email, "displayName", "passwordHash", "emailVerified", "isActive",
             COALESCE("createdAt", clock_timestamp())
      FROM given
      WHERE NOT ${isReservedEmail(sql`given.email`)}
      ORDER BY email COLLATE "C", line
      ON CONFLICT (email) DO NOTHING
      RETURNING id
    ), granted AS (
      INSERT INTO user_roles (user_id, role)
      SELECT given.id, role FROM inserted JOIN given USING (id), unnest(given.roles) AS role
    )
    SELECT id FROM inserted`,
  );

/** Stores the refused lines of a batch. SQL for one statement per batch. */
export const insertRefusedLines = (tx: Transaction, fileSha256: Uint8Array, refused: readonly RefusedLine[]) =>
  execute(
    tx,
    sql`
    INSERT INTO user_import_refusals (file_sha256, line, reasons)
    SELECT ${fileSha256}, line, reasons
    FROM json_to_recordset(${JSON.stringify(refused)}::json) AS refused(line int, reasons text[])`,
  );
