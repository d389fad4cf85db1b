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

/** A request, and the headers that its response will have. */
export type CountedRequest = ClientAddress & { headers: Record<string, string> };

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

const maxKnownPartitions = 10_000;

/**
 * Names partitions with an HMAC. Caches can share responses, and anyone could find the address of an unkeyed hash by hashing all
 * addresses. Names are kept, because an HMAC costs more than the rest of a limit.
 */
export function makePartitionOf(hmacKey: Uint8Array): (key: string) => string {
  const known = new Map<string, string>();
  return (key) => {
    const name =
      known.get(key) ??
      Buffer.from(hmacSha256(hmacKey, Buffer.from(key)).toString('hex').slice(0, 12)).toString('base64');
    if (known.size >= maxKnownPartitions) known.clear();
    known.set(key, name);
    return name;
  };
}

/** Sets the header fields of draft-ietf-httpapi-ratelimit-headers-08. */
function setHeaders(
  headers: Record<string, string>,
  budget: Budget,
  key: string,
  used: number,
  resetSeconds: number,
): void {
  const { name, count, windowSeconds, partitionOf } = budget;
  headers['RateLimit-Policy'] = `"${name}"; q=${count}; w=${windowSeconds}; pk=:${partitionOf(key)}:`;
  headers['RateLimit'] = `"${name}"; r=${Math.max(0, count - used)}; t=${resetSeconds}`;
}

/** Counts one event and describes the budget in the headers of the response. Returns the error if the budget is exceeded. */
export async function spend(budget: Budget, request: CountedRequest): Promise<RateLimited | undefined> {
  const key = budget.keyOf(request);
  const { count, endsInMs } = await budget.counters.add(key);
  const resetSeconds = Math.ceil(endsInMs / 1000);
  setHeaders(request.headers, budget, key, count, resetSeconds);
  return count > budget.count ? new RateLimited(budget.name, resetSeconds) : undefined;
}

/** Subtracts an event that turned out not to count. Does not wait: the counters keep the order of calls. */
export function subtractEvent(budgets: readonly Budget[], client: ClientAddress): void {
  for (const { counters, keyOf } of budgets) void counters.subtract(keyOf(client));
}
