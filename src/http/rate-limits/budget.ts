import type { Response } from 'express';
import { RateLimited } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { countedAddress, customerNetworkOf } from '../../lib/network.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Counters } from './counters.ts';

/** The maximum number of events of one client in a window. */
export interface RateLimit {
  count: number;
  windowSeconds: number;
}

export type ClientAddress = Pick<RequestInfo, 'ip' | 'network'>;

export const byAddress = ({ ip }: ClientAddress): string => countedAddress(ip);
export const byCustomerNetwork = ({ network }: ClientAddress): string => customerNetworkOf(network);

/** One limit and its counters. */
export interface Budget extends RateLimit {
  /** The name in the headers, the log and the metrics. */
  name: string;
  counters: Counters;
  keyOf: (client: ClientAddress) => string;
  /** Returns the partition that a response names for a key. */
  partitionOf: (key: string) => string;
}

/**
 * Names partitions with an HMAC. Caches can share responses, and anyone could find the address of an unkeyed hash by hashing all
 * addresses.
 */
export const makePartitionOf =
  (hmacKey: Uint8Array) =>
  (key: string): string =>
    Buffer.from(hmacSha256(hmacKey, Buffer.from(key)).toString('hex').slice(0, 12)).toString('base64');

/** Sets the header fields of draft-ietf-httpapi-ratelimit-headers-08. */
function setHeaders(res: Response, budget: Budget, key: string, used: number, resetSeconds: number): void {
  const { name, count, windowSeconds, partitionOf } = budget;
  res.setHeader('RateLimit-Policy', `"${name}"; q=${count}; w=${windowSeconds}; pk=:${partitionOf(key)}:`);
  res.setHeader('RateLimit', `"${name}"; r=${Math.max(0, count - used)}; t=${resetSeconds}`);
}

/** Counts one event and describes the budget in the response. Returns the error if the budget is exceeded. */
export async function spend(budget: Budget, client: ClientAddress, res: Response): Promise<RateLimited | undefined> {
  const key = budget.keyOf(client);
  const { count, endsInMs } = await budget.counters.add(key);
  const resetSeconds = Math.ceil(endsInMs / 1000);
  setHeaders(res, budget, key, count, resetSeconds);
  return count > budget.count ? new RateLimited(budget.name, resetSeconds) : undefined;
}

/** Subtracts an event that turned out not to count. Does not wait: the counters keep the order of calls. */
export function subtractEvent(budgets: readonly Budget[], client: ClientAddress): void {
  for (const { counters, keyOf } of budgets) void counters.subtract(keyOf(client));
}
