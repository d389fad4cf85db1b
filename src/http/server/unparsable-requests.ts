import { randomId } from '../../lib/ids.ts';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { monotonicMs } from '../../lib/clock.ts';
import { type Connection, isServed } from './connections.ts';

interface Unreadable {
  status: number;
  title: string;
  code: string;
  detail: string;
}

const badRequest: Unreadable = {
  status: 400,
  title: 'Bad Request',
  code: 'bad_request',
  detail: 'This is not an HTTP request that the service can read.',
};

const headersTooLarge: Unreadable = {
  status: 431,
  title: 'Request Header Fields Too Large',
  code: 'headers_too_large',
  detail: 'The URL and the headers may have at most 16 KiB together, in 200 lines.',
};

/** By what Node calls them. */
const unreadable: Record<string, Unreadable> = {
  HPE_HEADER_OVERFLOW: headersTooLarge,
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    title: 'Request Timeout',
    code: 'request_timeout',
    detail: 'The request did not arrive in time.',
  },
};

const headersMax = 200;

/** What Node lets pass: thousands of headers, as it counts only their letters, and two hosts (RFC 9112 section 3.2). */
function faultOf({ rawHeaders }: IncomingMessage): Unreadable | undefined {
  if (rawHeaders.length > 2 * headersMax) return headersTooLarge;
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.length === 4 && /^host$/i.test(name));
  return hosts.length > 1 ? badRequest : undefined;
}

/** The answer to what is no request that could be routed. The connection ends with it. */
function unreadableProblem({ status, title, code, detail }: Unreadable) {
  const instance = randomId();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, code });
  const headers = {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': instance,
    'Cache-Control': 'no-store',
    Connection: 'close',
  };
  return { headers, body };
}

/** Answers instead of the app, where a request is none that it should see. */
export function refuseFaulty(req: IncomingMessage, res: ServerResponse): boolean {
  const fault = faultOf(req);
  if (fault) refuse(res, fault);
  return fault !== undefined;
}

export function refuse(res: ServerResponse, problem = badRequest): void {
  const { headers, body } = unreadableProblem(problem);
  res.writeHead(problem.status, headers).end(body);
}

function asBytes(problem: Unreadable): string {
  const { headers, body } = unreadableProblem(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${problem.status} ${problem.title}`, ...lines, '', body].join('\r\n');
}

const closed = (answer: ServerResponse) => new Promise((resolve) => answer.once('close', resolve));

/**
 * Says what Node refuses before there is a response to answer with, after the answers to the whole requests before it,
 * and never where the client has an answer to this request already: it would take it for the answer to the next.
 */
export async function refuseUnreadable(connection: Connection, error: NodeJS.ErrnoException): Promise<void> {
  const { socket, answers } = connection;
  if (connection.refused) return;
  connection.refused = true;
  for (const answer of answers) if (isServed(answer)) await closed(answer);
  if (!socket.writable) return void socket.destroy();
  connection.movedMs = monotonicMs();
  const { latest } = connection;
  if (latest && !latest.req.complete && latest.headersSent) return void socket.end();
  socket.end(asBytes(unreadable[error.code ?? ''] ?? badRequest));
}
