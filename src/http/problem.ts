import type { ErrorRequestHandler, Response } from 'express';
import { ValidationFailed } from '../core/errors.ts';
import { ClientDisconnected } from '../core/request-info.ts';
import { ApiError, NotReady } from '../lib/errors.ts';
import type { Logger } from '../platform/log.ts';
import { DatabaseUnavailable } from '../platform/postgres.ts';
import type { ErrorResponse, FailedRequest } from './endpoint.ts';
import { InternalError } from './errors.ts';
import { contextOf, type RequestContext } from './request-context.ts';

/** The page of a problem's `type`. */
export const problemUrl = (baseUrl: string, code: string): string => `${baseUrl}/problems/${code.replaceAll('_', '-')}`;

/** Renders an error as a problem document (RFC 9457). */
function problemDocument({ definition, extras }: ApiError, context: RequestContext, baseUrl: string): ErrorResponse {
  const { status, code, title } = definition;
  const detail = extras.detail ?? definition.detail;
  const type = problemUrl(baseUrl, code);
  return {
    body: { type, title, status, detail, instance: context.responseId, code, ...extras.members },
    type: 'application/problem+json; charset=utf-8',
  };
}

function failedRequest({ responseId, form }: RequestContext, { extras }: ApiError): FailedRequest {
  const retryAfter = extras.headers?.['Retry-After'];
  return { requestId: responseId, form, retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter) };
}

function sendError(res: Response, error: ApiError, baseUrl: string): void {
  const { definition, extras, reason } = error;
  const context = contextOf(res);
  context.errorCode = definition.code;
  context.annotate({ reason });
  const response =
    context.renderError?.(error, failedRequest(context, error)) ?? problemDocument(error, context, baseUrl);
  const payload = typeof response.body === 'string' ? response.body : JSON.stringify(response.body);
  res.writeHead(response.status ?? definition.status, {
    ...context.headers,
    'Content-Length': Buffer.byteLength(payload),
    'Content-Type': response.type,
    'Cache-Control': 'no-store',
    ...extras.headers,
    ...response.headers,
  });
  res.end(payload);
}

/** Converts a thrown value: expected errors are unchanged, an unavailable database becomes 503, everything else 500. */
function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DatabaseUnavailable) return new NotReady('database');
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  // Express throws it for a path such as `/%zz`.
  if (status === 400) return new ValidationFailed([{ path: 'url', message: 'is not a valid URL' }]);
  return new InternalError('bug');
}

/** The last error handler. Clients receive only the converted error, never the original one. */
export function handleErrors(log: Logger, baseUrl: string): ErrorRequestHandler {
  const respond = (thrown: unknown, res: Response): void => {
    if (thrown instanceof ClientDisconnected || res.headersSent) return void res.destroy();
    const context = contextOf(res);
    const error = toApiError(thrown);
    if (error instanceof InternalError) {
      const { id, clientRequestId } = context;
      log.error({ request_id: id, client_request_id: clientRequestId ?? undefined, err: thrown }, 'request failed');
    }
    try {
      sendError(res, error, baseUrl);
    } catch (renderingError) {
      if (!context.renderError) throw renderingError;
      // The endpoint's own format failed, so fall back to a problem document.
      context.renderError = undefined;
      respond(renderingError, res);
    }
  };
  return (thrown: unknown, _req, res, _next) => respond(thrown, res);
}
