import type { Network } from '../lib/network.ts';
import type { SessionId, UserId } from '../lib/ids.ts';

/** The facts about an HTTP request that the domain uses. */
export interface RequestInfo {
  /** The value of `X-Request-Id`. */
  readonly id: string;
  /** The client's address. `TRUST_PROXY` decides whether proxy headers determine it. */
  readonly ip: string;
  readonly network: Network;
  /** At most 256 characters; null if none was sent. */
  readonly userAgent: string | null;
  /** Aborts with `ClientDisconnected` if the client disconnects before the response. */
  readonly signal: AbortSignal;
  /** Adds facts to the request's log line. */
  annotate(facts: LogFacts): void;
}

/** The facts that a use case can add to the log line of its request. */
export interface LogFacts {
  userId?: UserId;
  sessionId?: SessionId;
  reason?: string;
}

/** The part of a request that may be stored after it: in audit events and in email requests. */
export type RequestSource = Pick<RequestInfo, 'id' | 'ip' | 'userAgent'>;

/** The client disconnected, so no response can be sent. */
export class ClientDisconnected extends Error {}
