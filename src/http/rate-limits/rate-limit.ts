import type { RateLimited } from '../../core/errors.ts';
import { ApiError, type ApiErrorClass } from '../../lib/errors.ts';
import {
  type Budget,
  byAddress,
  byCustomerNetwork,
  type CountedRequest,
  makePartitionOf,
  subtractEvent,
  type RateLimit,
  spend,
} from './budget.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Counters } from './counters.ts';

/** The limits of the configuration: `RATE_LIMIT_LOGIN` and so on. */
export type RateLimitGroup = 'login' | 'register' | 'refresh' | 'mail' | 'default';
export type RateLimits = Readonly<Record<RateLimitGroup, RateLimit>>;

/** The outcomes of an endpoint that count for a limit. All others count only for the ceiling. */
export interface RateLimitRule {
  group: Exclude<RateLimitGroup, 'default'>;
  counts: readonly (ApiErrorClass | 'success')[];
  /**
   * For secrets that are too long to guess: requests are handled even if the limit is exhausted, and then answered with 429 instead
   * of an error that counts. So valid secrets always work, and their misuse is always detected. Without it, an exhausted limit
   * refuses all requests, and each request counts while it runs, so that concurrent guesses cannot exceed the limit.
   */
  unguessable?: true;
  /** The errors of `unguessable` secrets that are returned even if the limit is exhausted. */
  exempt?: (error: ApiError) => boolean;
}

/** The limit on all requests of a client. `none` is for probes, which must always get a response. */
export type Ceiling = 'default' | 'refresh' | 'none';

/** The users of a mobile carrier share few addresses, and their apps refresh in the background. */
const refreshCeilingFactor = 10;

/** One customer can hold many addresses, so registrations are also limited per IPv4 /24 and IPv6 /48. */
const registerNetworkFactor = 10;

export interface RateLimiter {
  /** Counts a request for the ceiling. @throws RateLimited */
  countRequest(ceiling: Ceiling, request: CountedRequest): Promise<void>;
  /** Handles a request and counts its outcome by the rules. @throws RateLimited, and any error of `handle` */
  countOutcome<Result>(
    rules: readonly RateLimitRule[],
    request: CountedRequest,
    handle: () => Promise<Result>,
  ): Promise<Result>;
}

type CountByRule = <Result>(
  rule: RateLimitRule,
  request: CountedRequest,
  handle: () => Promise<Result>,
) => Promise<Result>;

export interface RateLimiterOptions {
  rateLimits: RateLimits;
  openCounters: (name: string, windowSeconds: number) => Counters;
  /** Keys the names of partitions in responses. */
  partitionKey: Uint8Array;
  metrics: Pick<Metrics, 'startLimitGroup' | 'limited'>;
}

export function makeRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { rateLimits, openCounters, metrics } = options;
  const partitionOf = makePartitionOf(options.partitionKey);
  const budget = (name: string, { count, windowSeconds }: RateLimit, factor = 1, keyOf = byAddress): Budget => ({
    name,
    count: count * factor,
    windowSeconds,
    counters: openCounters(name, windowSeconds),
    keyOf,
    partitionOf,
  });
  const { login, register, refresh, mail, default: everything } = rateLimits;
  const ceilings = {
    default: budget('default', everything),
    refresh: budget('refresh_ceiling', everything, refreshCeilingFactor),
  };
  const groups = {
    login: [budget('login', login)],
    // The network first, so that the headers describe the limit of the address.
    register: [
      budget('register_network', register, registerNetworkFactor, byCustomerNetwork),
      budget('register', register),
    ],
    refresh: [budget('refresh', refresh)],
    mail: [budget('mail', mail)],
  };

  for (const { name } of [...Object.values(ceilings), ...Object.values(groups).flat()]) metrics.startLimitGroup(name);

  const refuse = (limited: RateLimited): never => {
    metrics.limited(limited.reason);
    throw limited;
  };

  /** Counts a request before it is handled. Refused requests do not count. @throws RateLimited */
  const reserve = async (budgets: readonly Budget[], request: CountedRequest): Promise<void> => {
    for (const [index, each] of budgets.entries()) {
      const limited = await spend(each, request);
      if (!limited) continue;
      subtractEvent(budgets.slice(0, index + 1), request);
      refuse(limited);
    }
  };

  const countWhileHandled: CountByRule = async (rule, request, handle) => {
    const budgets = groups[rule.group];
    await reserve(budgets, request);
    try {
      const result = await handle();
      if (!rule.counts.includes('success')) subtractEvent(budgets, request);
      return result;
    } catch (error) {
      if (!isCounted(rule, error)) subtractEvent(budgets, request);
      throw error;
    }
  };

  const countErrors: CountByRule = async (rule, request, handle) => {
    try {
      return await handle();
    } catch (error) {
      if (!isCounted(rule, error)) throw error;
      for (const each of groups[rule.group]) {
        const limited = await spend(each, request);
        if (limited && !rule.exempt?.(error)) refuse(limited);
      }
      throw error;
    }
  };

  const countOutcome: RateLimiter['countOutcome'] = ([rule, ...others], request, handle) => {
    if (!rule) return handle();
    const count = rule.unguessable ? countErrors : countWhileHandled;
    return count(rule, request, () => countOutcome(others, request, handle));
  };

  return {
    async countRequest(ceiling, request) {
      if (ceiling === 'none') return;
      const limited = await spend(ceilings[ceiling], request);
      if (limited) refuse(limited);
    },
    countOutcome,
  };
}

const isCounted = ({ counts }: RateLimitRule, error: unknown): error is ApiError =>
  error instanceof ApiError &&
  counts.some((outcome) => outcome !== 'success' && outcome.definition === error.definition);
