import type { Request, RequestHandler, Response } from 'express';
import { ClientDisconnected, type LogFacts, type RequestInfo } from '../core/request-info.ts';
import { monotonicMs } from '../lib/clock.ts';
import { type Network, networkOf, parseAddress } from '../lib/network.ts';
import type { Logger } from '../platform/log.ts';
import { randomId } from '../lib/ids.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Form } from './form.ts';
import type { RenderError } from './endpoint.ts';
import { whenClosed } from './server/when-closed.ts';

/** "This host on this network" (RFC 6890 section 2.2.2). No client has this address. */
const unknownAddress = '0.0.0.0';

const validRequestId = /^[\w.-]{1,128}$/;

/** The state of one request, from its first middleware to its log line. */
export class RequestContext implements RequestInfo {
  readonly id: string;
  readonly clientRequestId: string | null;
  readonly ip: string;
  readonly network: Network;
  readonly userAgent: string | null;
  /** The declared path (`/sessions/:id`), so that neither logs nor metrics contain text from URLs. */
  route: string | undefined;
  /** The raw form after it was read. */
  form: Form | undefined;
  /** The endpoint's own error format; undefined for problem documents. */
  renderError: RenderError | undefined;
  /** The code of the error that was sent. */
  errorCode: string | undefined;
  readonly logFacts: LogFacts = {};
  /** The headers of every response to this request. Written together with the status, because `setHeader` is slow. */
  readonly headers: Record<string, string>;
  readonly #req: Request;
  readonly #res: Response;
  #signal: AbortSignal | undefined;

  constructor(req: Request, res: Response, headers: Readonly<Record<string, string>>) {
    const givenId = req.headers['x-request-id'];
    this.id = randomId();
    this.clientRequestId = typeof givenId === 'string' && validRequestId.test(givenId) ? givenId : null;
    // A trusted proxy can send anything as the address, and a closed socket has none.
    this.ip = parseAddress(req.ip ?? '') ?? parseAddress(req.socket.remoteAddress ?? '') ?? unknownAddress;
    this.network = networkOf(this.ip);
    this.userAgent = req.headers['user-agent']?.slice(0, 256) || null;
    this.headers = { ...headers, 'X-Request-Id': this.responseId };
    this.#req = req;
    this.#res = res;
  }

  /** The id that the response has. Callers that sent one find their own. */
  get responseId(): string {
    return this.clientRequestId ?? this.id;
  }

  /** Names a request header that the response depends on (RFC 9110 section 12.5.5). */
  addVary(name: string): void {
    const { Vary } = this.headers;
    this.headers['Vary'] = Vary === undefined ? name : `${Vary}, ${name}`;
  }

  annotate(facts: LogFacts): void {
    Object.assign(this.logFacts, facts);
  }

  /** Created on first use because most requests never wait for anything. */
  get signal(): AbortSignal {
    return (this.#signal ??= disconnectSignal(this.#req, this.#res));
  }
}

function disconnectSignal(req: Request, res: Response): AbortSignal {
  const controller = new AbortController();
  whenClosed(
    req,
    res,
    () => res.writableFinished || controller.abort(new ClientDisconnected('the client disconnected')),
  );
  return controller.signal;
}

/** The context that `trackRequests` has created for a response. */
export function contextOf(res: Response): RequestContext {
  const context: unknown = res.locals['context'];
  if (!(context instanceof RequestContext)) throw new Error('trackRequests must be the first middleware');
  return context;
}

/** Gives every request its context and id, the headers of its response, a log line and a place in the metrics. */
export function trackRequests(
  log: Logger,
  metrics: Pick<Metrics, 'requestDone'>,
  headers: Readonly<Record<string, string>>,
): RequestHandler {
  return (req, res, next) => {
    const startedMs = monotonicMs();
    const context = new RequestContext(req, res, headers);
    res.locals['context'] = context;
    whenClosed(req, res, () => {
      const ms = monotonicMs() - startedMs;
      const status = res.writableFinished ? res.statusCode : 499;
      const { route, logFacts } = context;
      // Undeclared paths share one series, whatever their method and path.
      metrics.requestDone(route ? req.method : 'any', route ?? 'none', status, ms / 1000);
      log.info({
        request_id: context.id,
        client_request_id: context.clientRequestId ?? undefined,
        method: req.method,
        route: route ?? null,
        status,
        ms: Math.round(ms * 10) / 10,
        user_id: logFacts.userId,
        session_id: logFacts.sessionId,
        code: context.errorCode,
        reason: logFacts.reason,
      });
    });
    next();
  };
}
