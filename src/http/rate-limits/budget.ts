import { createHash } from 'node:crypto';
import type { Response } from 'express';
import { RateLimited } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { countedAddress, siteOf } from '../../lib/network.ts';
import type { Counters } from './counters.ts';
import type { InFlight } from './in-flight.ts';

/** The maximum number of events of one client in a window. */
export interface RateLimit {
  count: number;
  windowSeconds: number;
}

export type ClientAddress = Pick<RequestInfo, 'ip' | 'network'>;

export const byAddress = ({ ip }: ClientAddress): string => countedAddress(ip);
export const bySite = ({ network }: ClientAddress): string => siteOf(network);

/** One limit and its counters. */
export interface Budget extends RateLimit {
  /** The name in the headers, the log and the metrics. */
  name: string;
  counters: Counters;
  inFlight: InFlight;
  keyOf: (client: ClientAddress) => string;
}

/** Sets the header fields of draft-ietf-httpapi-ratelimit-headers-08. The partition key does not reveal the address. */
function setHeaders(res: Response, budget: Budget, key: string, used: number, resetSeconds: number): void {
  const { name, count, windowSeconds } = budget;
  const partition = Buffer.from(createHash('sha256').update(key).digest('hex').slice(0, 12)).toString('base64');
  res.setHeader('RateLimit-Policy', `"${name}"; q=${count}; w=${windowSeconds}; pk=:${partition}:`);
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
