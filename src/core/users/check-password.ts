import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../lib/clock.ts';
import { Overloaded } from '../../lib/errors.ts';
import { parseId, type UserId } from '../../lib/ids.ts';
import { makeKeyedMutex } from '../../lib/keyed-mutex.ts';
import { type Network, providerNetworkOf, customerNetworkOf } from '../../lib/network.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit, AuditEvent } from '../audit/audit.ts';
import type { RequestInfo } from '../request-info.ts';
import {
  addFailure,
  allNetworks,
  clearFailures,
  clearLockouts,
  findLockoutSeconds,
  type LockoutKey,
  type LockoutScope,
  startAttempt,
  undoAttempt,
} from './lockout.sql.ts';
import { AccountLocked, InvalidCredentials } from './users.errors.ts';

/** The outcome of one password check: the account, or the audit event of the failure. */
export type PasswordCheck<Account> = { account: Account } | { refused: AuditEvent & { reason: string } };

/**
 * All password checks go through this function, which counts failures for the lockout, whether or not an account has the address.
 * `verify` compares the password once. If the attempt is the first one since the last success, `verify` may compare a second
 * password: it adds one guess to those that the limits allow, not one to each attempt. @throws AccountLocked, InvalidCredentials, Overloaded, ClientDisconnected
 */
export type CheckPassword = <Account>(
  email: string,
  request: RequestInfo,
  verify: (attempt: { isFirst: boolean }) => Promise<PasswordCheck<Account>>,
) => Promise<Account>;

export interface LockoutLimits {
  /** Consecutive failures from one network that lock the address for this network. */
  attempts: number;
  /** Consecutive failures from all networks that lock the address everywhere. */
  total: number;
  /** How long a lockout lasts and failures are remembered, counted from the last attempt. */
  durationSeconds: number;
}

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

/** The parts of `total` that one IPv6 /48 and one IPv6 /32 can use up, so that no single customer or provider locks an address everywhere. */
const [customerShare, providerShare] = [1 / 5, 1 / 2];

/** The networks that an attempt counts for. An IPv4 client has only its own: the neighbors of a /24 belong to other people. */
function scopesOf(network: Network, { attempts, total }: LockoutLimits): LockoutScope[] {
  const provider = providerNetworkOf(network);
  const share = (part: number) => Math.max(attempts, Math.floor(total * part));
  return [
    { network, maxFailures: attempts },
    ...(provider
      ? [
          { network: customerNetworkOf(network), maxFailures: share(customerShare) },
          { network: provider, maxFailures: share(providerShare) },
        ]
      : []),
    { network: allNetworks, maxFailures: total },
  ];
}

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
  const begin = (email: string, key: LockoutKey, request: RequestInfo): Promise<{ isFirst: boolean }> => {
    const deadlineMs = monotonicMs() + maxWaitMs;
    return withMutex(`${Buffer.from(key.emailHmac).toString('base64')} ${request.network}`, async () => {
      for (;;) {
        request.signal.throwIfAborted();
        const started = await startAttempt(db, key);
        if (started.length === key.scopes.length) return { isFirst: started.every(({ attempts }) => attempts === 1) };
        const counted = started.map(({ network }) => network);
        if (counted.length > 0) await undoAttempt(db, key, counted);
        const retryAfterSeconds = await findLockoutSeconds(db, key);
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
      const counts = await addFailure(tx, key);
      const reached = key.scopes.filter(({ network, maxFailures }) =>
        counts.some((count) => count.network === network && count.failures === maxFailures),
      );
      const scopes = new Set(reached.map(({ network }) => (network === allNetworks ? 'anywhere' : 'network')));
      await audit.record(tx, request, event);
      for (const reason of scopes)
        await audit.record(tx, request, { type: 'account.locked', outcome: 'failure', reason, userId: event.userId });
      return scopes;
    });
    for (const scope of locked) metrics.lockedOut(scope);
  };

  return async (email, request, verify) => {
    const { durationSeconds } = limits;
    const key = { emailHmac: hmacOf(lockoutKey, email), scopes: scopesOf(request.network, limits), durationSeconds };
    const attempt = await begin(email, key, request);
    const check = await verify(attempt).catch(async (error: unknown) => {
      // The password was not compared, so the attempt does not count. An error of this cleanup must not hide the first one.
      const networks = key.scopes.map(({ network }) => network);
      await undoAttempt(db, key, networks).catch(() => {});
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
