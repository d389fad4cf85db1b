import type { ServerResponse } from 'node:http';

/** As the service itself says it, so that clients need to know one set of codes; its `type` leads to the issuer's page. */
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
    detail: 'The request bears no access token.',
  },
  severalTokens: {
    status: 400,
    code: 'validation_failed',
    title: 'Invalid request',
    detail: 'The request has more than one Authorization header.',
  },
  invalidToken: {
    status: 401,
    code: 'invalid_access_token',
    title: 'Invalid access token',
    detail: 'The access token is malformed or expired, or it is meant for another service.',
  },
  insufficientScope: {
    status: 403,
    code: 'insufficient_scope',
    title: 'Insufficient scope',
    detail: 'The access token does not hold the scope that this needs.',
  },
  notFound: {
    status: 404,
    code: 'not_found',
    title: 'Not found',
    detail: 'There is nothing here, or nothing that you may see.',
  },
  notReady: {
    status: 503,
    code: 'not_ready',
    title: 'Not ready',
    detail: 'Access tokens cannot be checked at the moment. Repeat the request later.',
  },
} as const satisfies Record<string, Problem>;

/** Answers with a problem document (RFC 9457). Says false: the request goes no further. */
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
