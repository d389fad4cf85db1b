import { once } from 'node:events';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import express, { type Express, type Request, type Response } from 'express';
import helmet from 'helmet';
import { makeIsInNetworks, parseAddress } from '../../lib/network.ts';
import type { Logger } from '../../platform/log.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { watchTraffic } from '../../platform/process/lifecycle.ts';
import { type ConnectionLimits, defaultLimits, limitConnections, serverOptions } from './connections.ts';
import { trackRequests } from '../request-context.ts';
import { allowOrigins, type CorsConfig } from './cors.ts';
import type { Endpoint } from '../endpoint.ts';
import { handleErrors } from '../problem.ts';
import { makeRoutes } from './routes.ts';
import type { EndpointOptions } from '../handle-request.ts';
import { refuse, refuseInvalidRequest, refuseUnparsable } from './unparsable-requests.ts';

export interface ExpressOptions extends EndpointOptions {
  log: Logger;
  /** The issuer without a trailing slash. */
  baseUrl: string;
  /** The proxies whose `X-Forwarded-For` is trusted: none, a number of hops, or networks. */
  trustProxy: false | number | string[];
  metrics: Pick<Metrics, 'requestDone'>;
  /** The pages that can call the service with credentials. */
  cors: CorsConfig;
}

/** Headers for an API: browsers must not render its responses, embed them or guess their types. They are the same for every response. */
function securityHeaders(baseUrl: string): Record<string, string> {
  const setHeaders = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    // Pages of any origin can read the discovery documents. CORS and no-store protect everything else.
    crossOriginResourcePolicy: false,
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    strictTransportSecurity: baseUrl.startsWith('https:') ? { maxAge: 31_536_000, includeSubDomains: true } : false,
  });
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  setHeaders(request, response, () => {});
  // Written as endpoints write them, which can override them.
  const nameOf = (name: string) => name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
  return Object.fromEntries(
    Object.entries(response.getHeaders()).map(([name, value]) => [nameOf(name), String(value)]),
  );
}

/** Express recognizes an address only without a port, but some proxies append theirs: `10.0.0.1:443`. */
function trustFunction(
  trustProxy: ExpressOptions['trustProxy'],
): false | number | ((text: string | undefined) => boolean) {
  if (!Array.isArray(trustProxy)) return trustProxy;
  const isTrusted = makeIsInNetworks(trustProxy);
  return (text) => {
    const address = parseAddress(text ?? ''); // the socket of a closed connection has no address
    return address !== undefined && isTrusted(address);
  };
}

/** Builds the Express app: request ids and log lines, headers, the declared endpoints, error responses. */
export function makeExpress(endpoints: readonly Endpoint[], options: ExpressOptions): Express {
  return express()
    .disable('x-powered-by')
    .disable('etag')
    .set('query parser', 'simple')
    .set('trust proxy', trustFunction(options.trustProxy))
    .use(trackRequests(options.log, options.metrics, securityHeaders(options.baseUrl)))
    .use(allowOrigins(endpoints, options.cors))
    .use(makeRoutes(endpoints, options))
    .use(handleErrors(options.log, options.baseUrl));
}

/**
 * Express changes the prototype of every request and response, and V8 accesses such objects slowly from then on. Objects of these
 * classes already have the prototypes that Express sets.
 */
function classesFor(app: Express) {
  class ExpressRequest extends IncomingMessage {}
  class ExpressResponse extends ServerResponse {}
  app.request = Object.setPrototypeOf(ExpressRequest.prototype, app.request);
  app.response = Object.setPrototypeOf(ExpressResponse.prototype, app.response);
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}

export interface ListenOptions {
  log?: Logger;
  limits?: Partial<ConnectionLimits>;
}

/** Resolves when the server listens. @throws if the port is unavailable */
export async function listen(
  app: Express,
  host: string,
  port: number,
  { log, limits: given }: ListenOptions = {},
): Promise<Server> {
  const limits = { ...defaultLimits, ...given };
  const server = watchTraffic(createServer({ ...serverOptions(limits), ...classesFor(app) }));
  const connections = limitConnections(server, limits, log);
  server.on('clientError', (error, socket) => {
    const connection = connections.of(socket);
    if (connection) void refuseUnparsable(connection, error);
    else socket.destroy();
  });
  server.on('request', (req, res) => {
    if (refuseInvalidRequest(req, res)) return;
    // A URL that Express cannot parse (`http://[`) reaches no middleware, not even the error handler.
    app(req as Request, res as Response, () => refuse(res));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}
