import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import express, { type Express, type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Logger } from '../platform/log.ts';
import { watchConnections } from '../platform/shutdown.ts';
import { traceRequests } from './context.ts';
import type { Endpoint, EndpointOptions } from './endpoint.ts';
import { answerRefusals } from './problem.ts';
import { makeRoutes } from './routes.ts';

export interface ExpressOptions extends EndpointOptions {
  log: Logger;
  /** The issuer without a slash at its end. */
  baseUrl: string;
  /** What of `X-Forwarded-For` is believed: nothing, so many hops, or these networks. */
  trustProxy: false | number | string[];
}

/** Tuned to an API: nothing that it answers is a page, so a browser may do nothing with it but read it. */
const securityHeaders = (baseUrl: string) =>
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
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
    .use(traceRequests(options.log))
    .use(securityHeaders(options.baseUrl))
    .use(makeRoutes(endpoints, options))
    .use(answerRefusals(options.log, options.baseUrl));
}

/** What Node refuses before there is a request to route, and the connection ends. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, title] = unreadable[error.code ?? ''] ?? [400, 'Bad Request'];
  const detail = 'This is not an HTTP request that the service can read.';
  const instance = randomUUID();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, code: 'bad_request' });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${instance}`,
    'Cache-Control: no-store',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
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
      app(req as Request, res as Response, () => refuseUnreadable(new Error('URL'), req.socket));
    }),
  ).on('clientError', refuseUnreadable);
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}
