import type { ServerResponse } from 'node:http';

/** Uses the codes of the service, so that clients handle one set of codes. `type` is a page of the issuer. */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
}

export const problems = {
  missingToken: {
    status: 401,
    code: 'invalid_access_token',
    title: 'Invalid access token',
    detail: 'The request has no access token.',
  },
  multipleTokens: {
    status: 400,
    code: 'validation_failed',
    title: 'Invalid request',
    detail: 'The request has more than one Authorization header.',
  },
  invalidToken: {
    status: 401,
    code: 'invalid_access_token',
    title: 'Invalid access token',
    detail: 'The access token is malformed, expired or intended for another service.',
  },
  insufficientScope: {
    status: 403,
    code: 'insufficient_scope',
    title: 'Insufficient scope',
    detail: 'The access token does not have the required scope.',
  },
  notFound: {
    status: 404,
    code: 'not_found',
    title: 'Not found',
    detail: 'The resource does not exist, or you do not have access to it.',
  },
  notReady: {
    status: 503,
    code: 'not_ready',
    title: 'Not ready',
    detail: 'Access tokens cannot be verified at the moment. Try again later.',
  },
} as const satisfies Record<string, Problem>;

/** Sends a problem document (RFC 9457). Returns false: the middleware must not call `next`. */
export function sendProblem(
  res: ServerResponse,
  issuer: string,
  problem: Problem,
  headers: Record<string, string>,
): false {
  const { status, code, title, detail } = problem;
  const type = `${issuer.replace(/\/$/, '')}/problems/${code.replaceAll('_', '-')}`;
  const body = JSON.stringify({ type, title, status, detail, code });
  res.writeHead(status, {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...headers,
  });
  res.end(body);
  return false;
}
