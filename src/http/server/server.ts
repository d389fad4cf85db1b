import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import express, { type Express, type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Logger } from '../../platform/log.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { watchConnections } from '../../platform/process/lifecycle.ts';
import { boundConnections, type ConnectionLimits, defaultLimits, serverOptions } from './connections.ts';
import { trackRequests } from '../request-context.ts';
import { allowOrigins } from '../cors.ts';
import type { Endpoint } from '../endpoint.ts';
import { handleErrors } from '../problem.ts';
import { makeRoutes } from '../routes.ts';
import type { EndpointOptions } from '../handle-request.ts';
import { refuse, refuseFaulty, refuseUnreadable } from './unparsable-requests.ts';

export interface ExpressOptions extends EndpointOptions {
  log: Logger;
  /** The issuer without a slash at its end. */
  baseUrl: string;
  /** What of `X-Forwarded-For` is believed: nothing, so many hops, or these networks. */
  trustProxy: false | number | string[];
  metrics: Pick<Metrics, 'requestDone'>;
  /** Whose pages may call from a browser, with credentials. */
  corsOrigins: readonly string[];
}

/** Tuned to an API: nothing that it answers is a page, so a browser may do nothing with it but read it. */
const securityHeaders = (baseUrl: string) =>
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    // Discovery is for every origin; what is not says so by CORS, and bears no-store.
    crossOriginResourcePolicy: false,
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    strictTransportSecurity: baseUrl.startsWith('https:') ? { maxAge: 31_536_000, includeSubDomains: true } : false,
  });

/** What every request passes: its id and log line, the headers, the declared endpoints, the answer to what was thrown. */
export function makeExpress(endpoints: readonly Endpoint[], options: ExpressOptions): Express {
  return express()
    .disable('x-powered-by')
    .disable('etag')
    .set('query parser', 'simple')
    .set('trust proxy', options.trustProxy)
    .use(trackRequests(options.log, options.metrics))
    .use(securityHeaders(options.baseUrl))
    .use(allowOrigins(endpoints, options.corsOrigins))
    .use(makeRoutes(endpoints, options))
    .use(handleErrors(options.log, options.baseUrl));
}

export interface ListenOptions {
  log?: Logger;
  limits?: Partial<ConnectionLimits>;
}

/** Resolves when the port is bound. @throws where it cannot be */
export async function listen(
  app: Express,
  host: string,
  port: number,
  { log, limits: given }: ListenOptions = {},
): Promise<Server> {
  const limits = { ...defaultLimits, ...given };
  const server = watchConnections(createServer(serverOptions(limits)));
  const connections = boundConnections(server, limits, log);
  server.on('clientError', (error, socket) => {
    const connection = connections.of(socket);
    if (connection) void refuseUnreadable(connection, error);
    else socket.destroy();
  });
  server.on('request', (req, res) => {
    if (refuseFaulty(req, res)) return;
    // A URL that Express cannot take apart (`http://[`) reaches no middleware, not even the one that answers refusals.
    app(req as Request, res as Response, () => refuse(res));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}
