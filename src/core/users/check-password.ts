import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestInfo } from '../request-info.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { makeKeyedMutex } from '../../lib/keyed-mutex.ts';
import { Overloaded } from '../../lib/errors.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { AuditEvent } from '../audit/audit.store.ts';
import { liftLockout, type LockoutStore, type LockoutSubject } from './lockout.store.ts';
import { AccountLocked, InvalidCredentials } from './users.errors.ts';

/** What came of one look at a password: whose it is, or the event of what is wrong. */
export type Verdict<Account> = { account: Account } | { refused: AuditEvent & { reason: string } };

/**
 * Everybody who asks for a password asks through this: it counts for the lock-out, whether or not an account has the
 * address. `verify` is the one look that the attempt is for.
 * @throws AccountLocked, InvalidCredentials, Overloaded, ClientGone
 */
export type CheckPassword = <Account>(
  email: string,
  request: RequestInfo,
  verify: () => Promise<Verdict<Account>>,
) => Promise<Account>;

export interface CheckPasswordDeps {
  store: LockoutStore;
  /** Keys the counters, so that the table does not tell who tried to log in. */
  lockoutKey: Uint8Array;
  metrics: Pick<Metrics, 'lockedOut'>;
}

/** What the counters of an address are kept under. */
const lockoutHmac = (lockoutKey: Uint8Array, email: string): Buffer => hmacSha256(lockoutKey, Buffer.from(email));

/** Forgets what was counted for an address, so that it is locked nowhere. */
export const makeLiftLockout =
  (lockoutKey: Uint8Array) =>
  (tx: Transaction, email: string): Promise<void> =>
    liftLockout(tx, lockoutHmac(lockoutKey, email));

export type LiftLockout = ReturnType<typeof makeLiftLockout>;

/** How long an attempt waits for those under way that may lock the address, and how often it looks. */
const [maxWaitMs, lookEveryMs] = [10_000, 50];

export const makeCheckPassword = ({ store, lockoutKey, metrics }: CheckPasswordDeps): CheckPassword => {
  const withLock = makeKeyedMutex();

  /** Counts the attempt. More right passwords at once than may fail are no attack: they wait for each other. */
  const begin = (email: string, subject: LockoutSubject, request: RequestInfo): Promise<void> => {
    const deadlineMs = monotonicMs() + maxWaitMs;
    const name = `${Buffer.from(subject.emailHmac).toString('base64')} ${subject.network}`;
    return withLock(name, async () => {
      for (;;) {
        request.signal.throwIfAborted();
        const admission = await store.begin(subject);
        if (admission.kind === 'begun') return;
        if (admission.kind === 'locked') {
          await store.recordLocked(email, request);
          throw new AccountLocked(admission.retryAfterSeconds);
        }
        if (monotonicMs() > deadlineMs) throw new Overloaded('attempts under way', 1);
        await sleep(lookEveryMs);
      }
    });
  };

  return async (email, request, verify) => {
    const subject = { emailHmac: lockoutHmac(lockoutKey, email), network: request.network };
    await begin(email, subject, request);
    const verdict = await verify().catch(async (error: unknown) => {
      await store.release(subject).catch(() => {}); // what was thrown tells more
      throw error;
    });
    if ('account' in verdict) {
      await store.succeed(subject);
      return verdict.account;
    }
    for (const scope of await store.fail(subject, verdict.refused, request)) metrics.lockedOut(scope);
    throw new InvalidCredentials(verdict.refused.reason);
  };
};
