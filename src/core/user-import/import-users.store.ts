import type { Clock } from '../../lib/clock.ts';
import { newId, type UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import { recordImports } from '../audit/audit.store.ts';
import type { ImportedUser } from './imported-user.ts';

/** How far the import of a file has come. */
export interface Progress {
  /** Where the next line begins, in bytes from the start of the file. */
  nextByte: number;
  lines: number;
  taken: number;
  refused: number;
  finished: boolean;
}

export interface RefusedLine {
  line: number;
  reasons: string[];
}

/** Lines that are taken or refused together. */
export interface Batch {
  /** Where it begins. */
  from: number;
  /** Where the next one begins. */
  to: number;
  /** How many lines it has, with those that hold nothing. */
  lines: number;
  users: { line: number; user: ImportedUser }[];
  refused: RefusedLine[];
  isLast: boolean;
}

const addressTaken = 'email: there is an account with this address, or an earlier line has it';

interface Row extends ImportedUser {
  id: UserId;
  line: number;
}

/** In the order of the addresses, so that two imports of other files never wait for each other. */
async function insertUsers(tx: Transaction, rows: Row[]): Promise<Set<UserId>> {
  const taken = await tx.$queryRaw<{ id: UserId }[]>`
    WITH given AS (
      SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::json) AS given(
        id uuid, line int, email text, "displayName" text, "passwordHash" text, "emailVerified" boolean,
        "isActive" boolean, "createdAt" timestamptz, roles text[])
    ), taken AS (
      INSERT INTO users (id, email, display_name, password_hash, email_verified, is_active, created_at)
      SELECT id, email, "displayName", "passwordHash", "emailVerified", "isActive",
             COALESCE("createdAt", clock_timestamp())
      FROM given
      -- Kept for an account whose change away from it can still be undone.
      WHERE NOT EXISTS (
        SELECT FROM one_time_tokens AS t
        WHERE t.purpose = 'email_undo' AND t.email = given.email AND clock_timestamp() < t.expires_at)
      ORDER BY email COLLATE "C", line
      ON CONFLICT (email) DO NOTHING
      RETURNING id
    ), granted AS (
      INSERT INTO user_roles (user_id, role)
      SELECT given.id, role FROM taken JOIN given USING (id), unnest(given.roles) AS role
    )
    SELECT id FROM taken`;
  return new Set(taken.map(({ id }) => id));
}

export const makeImportUsersStore = (db: Database, fileSha256: Uint8Array, clock: Clock) => ({
  async roleNames(): Promise<Set<string>> {
    const rows = await db.$queryRaw<{ name: string }[]>`SELECT name FROM roles`;
    return new Set(rows.map(({ name }) => name));
  },

  /** Forgets that the file was imported. The accounts stay. */
  async forget(): Promise<void> {
    await db.$executeRaw`DELETE FROM user_imports WHERE file_sha256 = ${fileSha256}`;
  },

  /** Where the import of this file is to go on. */
  async begin(): Promise<Progress> {
    await db.$executeRaw`INSERT INTO user_imports (file_sha256) VALUES (${fileSha256}) ON CONFLICT DO NOTHING`;
    const [row] = await db.$queryRaw<(Omit<Progress, 'nextByte'> & { nextByte: bigint })[]>`
      SELECT next_byte AS "nextByte", lines, taken, refused, finished_at IS NOT NULL AS finished
      FROM user_imports WHERE file_sha256 = ${fileSha256}`;
    if (!row) throw new Error('an import that was just begun is not there');
    return { ...row, nextByte: Number(row.nextByte) };
  },

  /** All of the batch, or nothing; undefined where another process has taken it. */
  take: ({ from, to, lines, users, refused, isLast }: Batch): Promise<Progress | undefined> =>
    db.$transaction(async (tx) => {
      const claimed = await tx.$executeRaw`
        UPDATE user_imports SET next_byte = ${BigInt(to)}, lines = lines + ${lines},
          finished_at = CASE WHEN ${isLast} THEN clock_timestamp() END
        WHERE file_sha256 = ${fileSha256} AND next_byte = ${BigInt(from)} AND finished_at IS NULL`;
      if (claimed === 0) return undefined;
      const rows = users.map(({ line, user }): Row => ({ ...user, line, id: newId<UserId>(clock.nowMs()) }));
      const taken = await insertUsers(tx, rows);
      await recordImports(tx, [...taken]);
      const late = rows.filter(({ id }) => !taken.has(id)).map(({ line }) => ({ line, reasons: [addressTaken] }));
      const errors = [...refused, ...late];
      await tx.$executeRaw`
        INSERT INTO user_import_refusals (file_sha256, line, reasons)
        SELECT ${fileSha256}, line, reasons
        FROM json_to_recordset(${JSON.stringify(errors)}::json) AS refusal(line int, reasons text[])`;
      const [row] = await tx.$queryRaw<{ lines: number; taken: number; refused: number }[]>`
        UPDATE user_imports SET taken = taken + ${taken.size}, refused = refused + ${errors.length}
        WHERE file_sha256 = ${fileSha256}
        RETURNING lines, taken, refused`;
      return row && { ...row, nextByte: to, finished: isLast };
    }),

  /** A page of the refused lines, in the order of the file. */
  refusedAfter: (line: number, most: number): Promise<RefusedLine[]> => db.$queryRaw<RefusedLine[]>`
    SELECT line, reasons FROM user_import_refusals
    WHERE file_sha256 = ${fileSha256} AND line > ${line}
    ORDER BY line LIMIT ${most}`,
});

export type ImportUsersStore = ReturnType<typeof makeImportUsersStore>;
