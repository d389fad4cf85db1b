import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { monotonicMs } from '../kernel/clock.ts';
import { ClientGone, type Form } from './body.ts';
import type { AnswerRefusal } from './endpoint.ts';
import { whenClosed } from './when-closed.ts';
import { type Network, networkOf, parseAddress } from '../kernel/network.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';

/** What is known of one request. Its log line says what `traceRequests` names; nothing else of it is ever logged. */
export interface RequestContext {
  readonly requestId: string;
  /** The path as it is declared (`/sessions/:id`), so that no line holds what a stranger put into a URL. */
  route?: string;
  userId?: string;
  sessionId?: string;
  code?: string;
  reason?: string;
  /** The form in its body, once that was read. */
  form?: Form;
  /** How the endpoint that it came to answers refusals; undefined: by problem documents. */
  answerRefusal?: AnswerRefusal | undefined;
}

/** Who is at the other end, as far as `TRUST_PROXY` lets us believe it. */
export interface Client {
  readonly requestId: string;
  readonly ip: string;
  readonly network: Network;
  /** Cut to 256 characters; null where none was sent. */
  readonly userAgent: string | null;
  /** Aborts with `ClientGone` where the client leaves before its answer. */
  readonly gone: AbortSignal;
  /** Adds to the request's log line what only the use-case knows. */
  note(facts: Partial<Pick<RequestContext, 'userId' | 'sessionId' | 'reason'>>): void;
}

/** What of a client may be kept after its request. */
export const tracesOf = ({ requestId, ip, userAgent }: Client): Pick<Client, 'requestId' | 'ip' | 'userAgent'> => ({
  requestId,
  ip,
  userAgent,
});

const contexts = new WeakMap<Response, RequestContext>();

export function contextOf(res: Response): RequestContext {
  const context = contexts.get(res);
  if (!context) throw new Error('a response without a context: traceRequests must be the first middleware');
  return context;
}

export function clientOf(req: Request, res: Response): Client {
  const context = contextOf(res);
  // What a trusted proxy said may be no address; what the socket says is none once the client has gone.
  let gone: AbortSignal | undefined;
  const ip = parseAddress(req.ip ?? '') ?? parseAddress(req.socket.remoteAddress ?? '') ?? unknownAddress;
  return {
    requestId: context.requestId,
    ip,
    network: networkOf(ip),
    userAgent: req.headers['user-agent']?.slice(0, 256) ?? null,
    note: (facts) => void Object.assign(context, facts),
    get gone() {
      return (gone ??= signalGone(req, res));
    },
  };
}

/** Made only where somebody asks, as most requests never wait for anything. */
function signalGone(req: Request, res: Response): AbortSignal {
  const controller = new AbortController();
  whenClosed(req, res, () => res.writableFinished || controller.abort(new ClientGone('the client went away')));
  return controller.signal;
}

/** RFC 6890 section 2.2.2: "this host", which no client has. */
const unknownAddress = '0.0.0.0';

const acceptableRequestId = /^[\w.-]{1,128}$/;

/** Gives every request its id, its one log line and its place in the metrics. */
export function traceRequests(log: Logger, metrics: Pick<Metrics, 'requestDone'>): RequestHandler {
  return (req, res, next) => {
    const startedMs = monotonicMs();
    const given = req.headers['x-request-id'];
    const requestId = typeof given === 'string' && acceptableRequestId.test(given) ? given : randomUUID();
    const context: RequestContext = { requestId };
    contexts.set(res, context);
    res.setHeader('X-Request-Id', requestId);
    whenClosed(req, res, () => {
      const ms = monotonicMs() - startedMs;
      const status = res.writableFinished ? res.statusCode : 499;
      // What is not declared has one series, whatever its method and its path.
      const { route } = context;
      metrics.requestDone(route ? req.method : 'any', route ?? 'none', status, ms / 1000);
      log.info({
        request_id: requestId,
        method: req.method,
        route: context.route ?? null,
        status,
        ms: Math.round(ms * 10) / 10,
        user_id: context.userId,
        session_id: context.sessionId,
        code: context.code,
        reason: context.reason,
      });
    });
    next();
  };
}
