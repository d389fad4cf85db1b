import type { ErrorRequestHandler, Response } from 'express';
import { NotReady, Refusal } from '../kernel/refusal.ts';
import type { Logger } from '../platform/log.ts';
import { isDatabaseUnavailable } from '../platform/postgres.ts';
import { ClientGone } from './body.ts';
import { contextOf } from './context.ts';
import { InternalError, ValidationFailed } from './refusals.ts';

/** The page that a problem's `type` leads to. */
export const problemUrl = (baseUrl: string, code: string): string => `${baseUrl}/problems/${code.replaceAll('_', '-')}`;

/** Answers with a problem document (RFC 9457). */
function sendProblem(res: Response, refusal: Refusal, baseUrl: string): void {
  const { kind, extras } = refusal;
  const context = contextOf(res);
  context.code = kind.code;
  context.reason = refusal.reason;
  const { status, code, title, detail } = kind;
  const type = problemUrl(baseUrl, code);
  const problem = { type, title, status, detail, instance: context.requestId, code, ...extras.members };
  const payload = JSON.stringify(problem);
  res.writeHead(status, {
    'Content-Length': Buffer.byteLength(payload),
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...extras.headers,
  });
  res.end(payload);
}

/** What a thrown value means to a client: a refusal as it is; ours or the database's fault as 500 or 503. */
function refusalFor(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (isDatabaseUnavailable(error)) return new NotReady('database');
  const { status } = error as { status?: unknown };
  // The router's own: a `%zz` in the path.
  if (status === 400) return new ValidationFailed([{ path: 'url', message: 'is not a valid URL' }]);
  return new InternalError('fault');
}

/** The last resort of every request: nothing that was thrown reaches a client but as a problem document. */
export function answerRefusals(log: Logger, baseUrl: string): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    if (error instanceof ClientGone || res.headersSent) return void res.destroy();
    const refusal = refusalFor(error);
    if (refusal instanceof InternalError)
      log.error({ request_id: contextOf(res).requestId, err: error }, 'a request failed');
    sendProblem(res, refusal, baseUrl);
  };
}
