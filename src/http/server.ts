import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import express, { type Express, type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import { watchConnections } from '../platform/shutdown.ts';
import { traceRequests } from './context.ts';
import { allowOrigins } from './cors.ts';
import type { Endpoint, EndpointOptions } from './endpoint.ts';
import { answerRefusals } from './problem.ts';
import { makeRoutes } from './routes.ts';

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
    strictTransportSecurity: baseUrl.startsWith('https:') ? { maxAge: 31_536_000, includeSubDomains: true } : false,
  });

/** What every request passes: its id and log line, the headers, the declared endpoints, the answer to what was thrown. */
export function makeExpress(endpoints: readonly Endpoint[], options: ExpressOptions): Express {
  return express()
    .disable('x-powered-by')
    .disable('etag')
    .set('query parser', 'simple')
    .set('trust proxy', options.trustProxy)
    .use(traceRequests(options.log, options.metrics))
    .use(securityHeaders(options.baseUrl))
    .use(allowOrigins(endpoints, options.corsOrigins))
    .use(makeRoutes(endpoints, options))
    .use(answerRefusals(options.log, options.baseUrl));
}

/** The answer to what is no request that could be routed. The connection ends with it. */
function unreadableProblem(status: number, title: string) {
  const detail = 'This is not an HTTP request that the service can read.';
  const instance = randomUUID();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, code: 'bad_request' });
  const headers = {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': instance,
    'Cache-Control': 'no-store',
    Connection: 'close',
  };
  return { headers, body };
}

/** What Node refuses before there is a response to answer with. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, title] = unreadable[error.code ?? ''] ?? [400, 'Bad Request'];
  const { headers, body } = unreadableProblem(status, title);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${title}`, ...lines, '', body].join('\r\n'));
}

const unreadable: Record<string, [status: number, title: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
};

/** Resolves when the port is bound. @throws where it cannot be */
export async function listen(app: Express, host: string, port: number): Promise<Server> {
  const server = watchConnections(
    createServer((req, res) => {
      // A URL that Express cannot take apart (`http://[`) reaches no middleware, not even the one that answers refusals.
      app(req as Request, res as Response, () => {
        const { headers, body } = unreadableProblem(400, 'Bad Request');
        res.writeHead(400, headers).end(body);
      });
    }),
  ).on('clientError', refuseUnreadable);
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}
