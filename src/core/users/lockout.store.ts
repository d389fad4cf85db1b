import type { RequestInfo } from '../request-info.ts';
import type { UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import { type AuditEvent, recordEvent } from '../audit/audit.store.ts';

export interface LockoutSettings {
  /** Failures in a row from one client network. */
  attempts: number;
  /** Failures in a row from anywhere. */
  total: number;
  /** How long a lock-out lasts, and how long failures are remembered, from the last attempt. */
  durationSeconds: number;
}

/** Whose password is asked for, and from where. */
export interface LockoutSubject {
  /** HMAC of the canonical e-mail address, whether or not an account has it. */
  emailHmac: Uint8Array;
  network: string;
}

export type LockoutScope = 'network' | 'anywhere';

/** What an attempt may do: go on, wait for others that are under way, or come back later. */
export type Admission = { kind: 'begun' } | { kind: 'busy' } | { kind: 'locked'; retryAfterSeconds: number };

/** Stands for the network in the row that counts from anywhere. */
const anywhere = '*';

/** Longer than an attempt takes. One that is not settled by then, as its process died, counts as failed. */
const attemptTakes = sql`interval '1 minute'`;

/** Every statement locks the row of the network before the row of anywhere, so that no two wait for each other. */
export const makeLockoutStore = (db: Database, { attempts, total, durationSeconds }: LockoutSettings) => {
  const isOver = sql`l.last_attempt_at + make_interval(secs => ${durationSeconds}) <= clock_timestamp()`;
  const countAgain = (most: number): SqlFragment => sql`
    ON CONFLICT (email_hmac, network) DO UPDATE SET
      attempts = CASE WHEN ${isOver} THEN 1 ELSE l.attempts + 1 END,
      failures = CASE WHEN ${isOver} THEN 0 ELSE l.failures END,
      last_attempt_at = clock_timestamp()
    WHERE l.attempts < ${most} OR ${isOver}
    RETURNING 1`;

  const takeBack = (emailHmac: Uint8Array, network: string): Promise<number> => db.$executeRaw`
    UPDATE lockouts SET attempts = attempts - 1
    WHERE email_hmac = ${emailHmac} AND network = ${network} AND attempts > failures`;

  /** Seconds until the last lock-out of those that hold here is over; null where none does. */
  const lockedFor = async ({ emailHmac, network }: LockoutSubject): Promise<number | null> => {
    const [row] = await db.$queryRaw<{ seconds: number | null }[]>`
      SELECT CEIL(EXTRACT(EPOCH FROM max(l.last_attempt_at) - clock_timestamp()))::int + ${durationSeconds} AS seconds
      FROM lockouts AS l, LATERAL (SELECT CASE l.network WHEN ${anywhere} THEN ${total}::int ELSE ${attempts}::int END) AS most(failures)
      WHERE l.email_hmac = ${emailHmac} AND l.network IN (${network}, ${anywhere}) AND NOT ${isOver}
        AND l.attempts >= most.failures
        AND (l.failures >= most.failures OR l.last_attempt_at < clock_timestamp() - ${attemptTakes})`;
    return row?.seconds ?? null;
  };

  return {
    /** Counts an attempt before its outcome is known: of any number at once, no more begin than may fail. */
    async begin(subject: LockoutSubject): Promise<Admission> {
      const { emailHmac, network } = subject;
      const [begun] = await db.$queryRaw<{ here: boolean; anywhere: boolean }[]>`
        WITH here AS (
          INSERT INTO lockouts AS l (email_hmac, network, attempts, failures, last_attempt_at)
          VALUES (${emailHmac}, ${network}, 1, 0, clock_timestamp()) ${countAgain(attempts)}
        ), anywhere AS (
          INSERT INTO lockouts AS l (email_hmac, network, attempts, failures, last_attempt_at)
          SELECT ${emailHmac}::bytea, ${anywhere}, 1, 0, clock_timestamp() FROM here ${countAgain(total)}
        )
        SELECT EXISTS (SELECT FROM here) AS here, EXISTS (SELECT FROM anywhere) AS anywhere`;
      if (begun?.anywhere) return { kind: 'begun' };
      if (begun?.here) await takeBack(emailHmac, network);
      const seconds = await lockedFor(subject);
      return seconds === null ? { kind: 'busy' } : { kind: 'locked', retryAfterSeconds: Math.max(1, seconds) };
    },

    /** An attempt that never got to the password counts for nothing. */
    async release({ emailHmac, network }: LockoutSubject): Promise<void> {
      await takeBack(emailHmac, network);
      await takeBack(emailHmac, anywhere);
    },

    /** An attempt that got nowhere: whether its password was right is not known. */
    async recordLocked(email: string, request: RequestInfo): Promise<void> {
      const [user] = await db.$queryRaw<{ id: UserId }[]>`SELECT id FROM users WHERE email = ${email}`;
      const facts = { outcome: 'failure', reason: 'locked', userId: user?.id } as const;
      await recordEvent(db, request, { type: 'account.tried_while_locked', ...facts });
    },

    /** A wrong password, with the event of it; tells what it has locked. */
    fail: (subject: LockoutSubject, event: AuditEvent, request: RequestInfo): Promise<LockoutScope[]> =>
      db.$transaction(async (tx) => {
        const { emailHmac, network } = subject;
        const [failures] = await tx.$queryRaw<{ here: number | null; anywhere: number | null }[]>`
          WITH here AS (
            UPDATE lockouts SET failures = LEAST(attempts, failures + 1)
            WHERE email_hmac = ${emailHmac} AND network = ${network} RETURNING failures
          ), anywhere AS (
            UPDATE lockouts SET failures = LEAST(attempts, failures + 1)
            WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM here) >= 0
            RETURNING failures
          )
          SELECT (SELECT failures FROM here) AS here, (SELECT failures FROM anywhere) AS anywhere`;
        await recordEvent(tx, request, event);
        const locked: LockoutScope[] = [];
        if (failures?.here === attempts) locked.push('network');
        if (failures?.anywhere === total) locked.push('anywhere');
        for (const reason of locked)
          await recordEvent(tx, request, { type: 'account.locked', outcome: 'failure', reason, userId: event.userId });
        return locked;
      }),

    /** The right password ends the row of failures, here and from anywhere. */
    async succeed({ emailHmac, network }: LockoutSubject): Promise<void> {
      await db.$executeRaw`
        WITH here AS (
          DELETE FROM lockouts WHERE email_hmac = ${emailHmac} AND network = ${network} RETURNING 1
        )
        DELETE FROM lockouts
        WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM here) >= 0`;
    },
  };
};

export type LockoutStore = ReturnType<typeof makeLockoutStore>;

/**
 * Forgets every failure for an address, from every network: it was shown otherwise whose account it is. In the order of
 * all others: the index would have the row of anywhere first.
 */
export async function liftLockout(tx: Transaction, emailHmac: Uint8Array): Promise<void> {
  await tx.$executeRaw`
    WITH here AS (DELETE FROM lockouts WHERE email_hmac = ${emailHmac} AND network <> ${anywhere} RETURNING 1)
    DELETE FROM lockouts
    WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM here) >= 0`;
}

/** Deletes what is over, up to `batch` rows, and tells how many. Two processes take different rows. */
export const purgeLockouts = (db: Database, durationSeconds: number, batch: number): Promise<number> =>
  db.$executeRaw`
    DELETE FROM lockouts WHERE (email_hmac, network) IN (
      SELECT email_hmac, network FROM lockouts
      WHERE last_attempt_at < statement_timestamp() - make_interval(secs => ${durationSeconds})
      ORDER BY last_attempt_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
