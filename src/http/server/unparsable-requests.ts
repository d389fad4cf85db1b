import type { IncomingMessage, ServerResponse } from 'node:http';
import { monotonicMs } from '../../lib/clock.ts';
import { randomId } from '../../lib/ids.ts';
import { type Connection, isInProgress } from './connections.ts';

/** An error that precedes Express, so that its problem document has no page. */
interface ParseProblem {
  status: number;
  title: string;
  code: string;
  detail: string;
}

const badRequest: ParseProblem = {
  status: 400,
  title: 'Bad Request',
  code: 'bad_request',
  detail: 'This is not a valid HTTP request.',
};

const headersTooLarge: ParseProblem = {
  status: 431,
  title: 'Request Header Fields Too Large',
  code: 'headers_too_large',
  detail: 'The URL and the headers can have at most 16 KiB and 200 lines.',
};

/** By Node's error codes. */
const problemsByCode: Record<string, ParseProblem> = {
  HPE_HEADER_OVERFLOW: headersTooLarge,
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    title: 'Request Timeout',
    code: 'request_timeout',
    detail: 'The request did not arrive in time.',
  },
};

const maxHeaders = 200;

/** Finds what Node accepts: thousands of short headers, and two Host headers (RFC 9112 section 3.2). */
function findProblem({ rawHeaders }: IncomingMessage): ParseProblem | undefined {
  if (rawHeaders.length > 2 * maxHeaders) return headersTooLarge;
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.length === 4 && /^host$/i.test(name));
  return hosts.length > 1 ? badRequest : undefined;
}

function problemResponse({ status, title, code, detail }: ParseProblem) {
  const instance = randomId();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, code });
  const headers = {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': instance,
    'Cache-Control': 'no-store',
    // The most important ones of `securityHeaders`: the app, which sets them all, does not see this request.
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none';frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    Connection: 'close',
  };
  return { headers, body };
}

/** Responds to a request that the app must not receive. Returns whether it was one. */
export function refuseInvalidRequest(req: IncomingMessage, res: ServerResponse): boolean {
  const problem = findProblem(req);
  if (problem) refuse(res, problem);
  return problem !== undefined;
}

/** Responds with an error and closes the connection. */
export function refuse(res: ServerResponse, problem = badRequest): void {
  const { headers, body } = problemResponse(problem);
  res.writeHead(problem.status, headers).end(body);
}

function toBytes(problem: ParseProblem): string {
  const { headers, body } = problemResponse(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${problem.status} ${problem.title}`, ...lines, '', body].join('\r\n');
}

const closed = (response: ServerResponse) => new Promise((resolve) => response.once('close', resolve));

/**
 * Responds to a request that Node could not parse, after the responses to the complete requests before it. Sends nothing if the response to
 * this request has begun: the client would take the error for the response to its next request.
 */
export async function refuseUnparsable(connection: Connection, error: NodeJS.ErrnoException): Promise<void> {
  const { socket, pending } = connection;
  if (connection.refused) return;
  connection.refused = true;
  for (const response of pending) if (isInProgress(response)) await closed(response);
  if (!socket.writable) return void socket.destroy();
  connection.lastProgressMs = monotonicMs();
  const { latest } = connection;
  if (latest && !latest.req.complete && latest.headersSent) return void socket.end();
  socket.end(toBytes(problemsByCode[error.code ?? ''] ?? badRequest));
}
