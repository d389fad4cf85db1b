import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../lib/clock.ts';
import { Overloaded } from '../../lib/errors.ts';
import { parseId, type UserId } from '../../lib/ids.ts';
import { makeKeyedMutex } from '../../lib/keyed-mutex.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit, AuditEvent } from '../audit/audit.ts';
import type { RequestInfo } from '../request-info.ts';
import {
  addFailure,
  clearFailures,
  clearLockouts,
  findLockoutSeconds,
  type LockoutKey,
  type LockoutLimits,
  startAttempt,
  undoAttempt,
} from './lockout.sql.ts';
import { AccountLocked, InvalidCredentials } from './users.errors.ts';

/** The outcome of one password check: the account, or the audit event of the failure. */
export type PasswordCheck<Account> = { account: Account } | { refused: AuditEvent & { reason: string } };

/**
 * All password checks go through this function, which counts failures for the lockout, whether or not an account has the address.
 * `verify` compares the password once. @throws AccountLocked, InvalidCredentials, Overloaded, ClientDisconnected
 */
export type CheckPassword = <Account>(
  email: string,
  request: RequestInfo,
  verify: () => Promise<PasswordCheck<Account>>,
) => Promise<Account>;

export interface CheckPasswordDeps {
  db: Database;
  audit: Audit;
  limits: LockoutLimits;
  /** Keys the counters, so that the table does not reveal who tried to log in. */
  lockoutKey: Uint8Array;
  metrics: Pick<Metrics, 'lockedOut'>;
}

/** How long an attempt waits for concurrent attempts that may lock the address, and how often it checks. */
const [maxWaitMs, waitIntervalMs] = [10_000, 50];

const hmacOf = (lockoutKey: Uint8Array, email: string): Buffer => hmacSha256(lockoutKey, Buffer.from(email));

export function makeCheckPassword({ db, audit, limits, lockoutKey, metrics }: CheckPasswordDeps): CheckPassword {
  const withMutex = makeKeyedMutex();

  /** The password was not compared, so it is unknown whether it was correct. */
  const recordLockedAttempt = async (email: string, request: RequestInfo): Promise<void> => {
    const user = await db.user.findUnique({ where: { email }, select: { id: true } });
    const userId = user ? parseId<UserId>(user.id) : undefined;
    await audit.record(db, request, {
      type: 'account.tried_while_locked',
      outcome: 'failure',
      reason: 'locked',
      userId,
    });
  };

  /** Counts the attempt before its outcome is known, so that concurrent attempts cannot exceed the limit. */
  const begin = (email: string, key: LockoutKey, request: RequestInfo): Promise<void> => {
    const deadlineMs = monotonicMs() + maxWaitMs;
    return withMutex(`${Buffer.from(key.emailHmac).toString('base64')} ${key.network}`, async () => {
      for (;;) {
        request.signal.throwIfAborted();
        const started = await startAttempt(db, key, limits);
        if (started.anywhere) return;
        if (started.network) await undoAttempt(db, key, 'network');
        const retryAfterSeconds = await findLockoutSeconds(db, key, limits);
        if (retryAfterSeconds !== undefined) {
          await recordLockedAttempt(email, request);
          throw new AccountLocked(Math.max(1, retryAfterSeconds));
        }
        // Not locked, but if all attempts in progress fail, they reach the limit. Some may have the correct password, so wait.
        if (monotonicMs() > deadlineMs) throw new Overloaded('too many concurrent attempts', 1);
        await sleep(waitIntervalMs);
      }
    });
  };

  const recordFailure = async (key: LockoutKey, event: AuditEvent, request: RequestInfo): Promise<void> => {
    const locked = await db.transaction(async (tx) => {
      const failures = await addFailure(tx, key);
      const scopes = [
        ...(failures.network === limits.attempts ? (['network'] as const) : []),
        ...(failures.anywhere === limits.total ? (['anywhere'] as const) : []),
      ];
      await audit.record(tx, request, event);
      for (const reason of scopes)
        await audit.record(tx, request, { type: 'account.locked', outcome: 'failure', reason, userId: event.userId });
      return scopes;
    });
    for (const scope of locked) metrics.lockedOut(scope);
  };

  return async (email, request, verify) => {
    const key = { emailHmac: hmacOf(lockoutKey, email), network: request.network };
    await begin(email, key, request);
    const check = await verify().catch(async (error: unknown) => {
      // The password was not compared, so the attempt does not count. An error of this cleanup must not hide the first one.
      await Promise.all([undoAttempt(db, key, 'network'), undoAttempt(db, key, 'anywhere')]).catch(() => {});
      throw error;
    });
    if ('account' in check) {
      await clearFailures(db, key);
      return check.account;
    }
    await recordFailure(key, check.refused, request);
    throw new InvalidCredentials(check.refused.reason);
  };
}

/** Unlocks an address everywhere and forgets its failures. */
export type LiftLockout = (tx: Transaction, email: string) => Promise<void>;

export const makeLiftLockout =
  (lockoutKey: Uint8Array): LiftLockout =>
  (tx, email) =>
    clearLockouts(tx, hmacOf(lockoutKey, email));
