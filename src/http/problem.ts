import type { ErrorRequestHandler, Response } from 'express';
import { NotReady, Refusal } from '../kernel/refusal.ts';
import type { Logger } from '../platform/log.ts';
import { isDatabaseUnavailable } from '../platform/postgres.ts';
import { ClientGone } from './body.ts';
import { contextOf, type RequestContext } from './context.ts';
import type { Refused, RefusalAnswer } from './endpoint.ts';
import { InternalError, ValidationFailed } from './refusals.ts';

/** The page that a problem's `type` leads to. */
export const problemUrl = (baseUrl: string, code: string): string => `${baseUrl}/problems/${code.replaceAll('_', '-')}`;

/** A problem document (RFC 9457). */
function problemOf({ kind, extras }: Refusal, { requestId }: RequestContext, baseUrl: string): RefusalAnswer {
  const { status, code, title, detail } = kind;
  const type = problemUrl(baseUrl, code);
  return {
    body: { type, title, status, detail, instance: requestId, code, ...extras.members },
    type: 'application/problem+json; charset=utf-8',
  };
}

/** An answer in the endpoint's own form, or else a problem document. */
function sendRefusal(res: Response, refusal: Refusal, baseUrl: string): void {
  const { kind, extras, reason } = refusal;
  const context = contextOf(res);
  Object.assign(context, { code: kind.code, reason });
  const answer = context.answerRefusal?.(refusal, refusedOf(res, refusal)) ?? problemOf(refusal, context, baseUrl);
  const payload = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  res.writeHead(answer.status ?? kind.status, {
    'Content-Length': Buffer.byteLength(payload),
    'Content-Type': answer.type,
    'Cache-Control': 'no-store',
    ...extras.headers,
    ...answer.headers,
  });
  res.end(payload);
}

/** A limit has put its `Retry-After` on the response; other refusals bear their own. */
function refusedOf(res: Response, { extras }: Refusal): Refused {
  const { requestId, form } = contextOf(res);
  const retryAfter = extras.headers?.['Retry-After'] ?? res.getHeader('Retry-After');
  return { requestId, form, retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter) };
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

/** The last resort of every request: nothing that was thrown reaches a client but as the answer to a refusal. */
export function answerRefusals(log: Logger, baseUrl: string): ErrorRequestHandler {
  const answer = (error: unknown, res: Response): void => {
    if (error instanceof ClientGone || res.headersSent) return void res.destroy();
    const context = contextOf(res);
    const refusal = refusalFor(error);
    if (refusal instanceof InternalError) log.error({ request_id: context.requestId, err: error }, 'a request failed');
    try {
      sendRefusal(res, refusal, baseUrl);
    } catch (fault) {
      // The endpoint's own form of it failed, so the problem document is what is left.
      if (!context.answerRefusal) throw fault;
      context.answerRefusal = undefined;
      answer(fault, res);
    }
  };
  return (error: unknown, _req, res, _next) => answer(error, res);
}
