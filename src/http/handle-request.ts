import type { Request, Response } from 'express';
import { z } from 'zod';
import type { DeniedRequest } from '../core/audit/denied-requests.ts';
import { requireTokenScopes } from '../core/authorization/rules.ts';
import type { Principal } from '../core/authorization/principal.ts';
import { NotFound, ValidationFailed } from '../core/errors.ts';
import { ApiError } from '../lib/errors.ts';
import { fieldErrorsOf } from '../lib/field-errors.ts';
import { authenticate, authenticateOptional, type Authentication, credentialsOf } from './authenticate.ts';
import { readJson, readOptionalJson } from './body.ts';
import { browserHeadersOf } from './csrf.ts';
import type { Endpoint } from './endpoint.ts';
import { readFormBody } from './form.ts';
import { checkedHandle } from './openapi/checked-handle.ts';
import type { RateLimiter, RateLimitRule } from './rate-limits/rate-limit.ts';
import { contextOf, type RequestContext } from './request-context.ts';
import { send } from './response.ts';

export interface EndpointOptions extends Authentication {
  rateLimiter: RateLimiter;
  /** For tests: parses each response by its schema and fails on undeclared errors. */
  checkResponses: boolean;
  /** Called before the response, which does not wait for it. */
  onDenied?: (denied: DeniedRequest) => void;
}

/** Handles one request: count, authenticate, validate, call the handler, respond. */
export async function handleRequest(endpoint: Endpoint, options: EndpointOptions, req: Request, res: Response) {
  const context = contextOf(res);
  context.route = endpoint.path;
  context.renderError = endpoint.renderError;
  await options.rateLimiter.countRequest(endpoint.ceiling ?? 'default', context);
  const found = findPrincipal(endpoint, options, req);
  const principal = found instanceof Promise ? await found : found;
  try {
    if (principal) context.annotate(sessionFacts(principal));
    if (principal && endpoint.scopes) requireTokenScopes(principal, endpoint.scopes);
    const input = {
      params: parseParams(endpoint, req),
      query: parseQuery(endpoint, req),
      body: await readBody(endpoint, context, req),
      principal,
      request: context,
      browser: browserHeadersOf(req),
      get credentials() {
        return credentialsOf(req);
      },
    };
    const handle = async () => (options.checkResponses ? checkedHandle(endpoint, input) : endpoint.handle(input));
    const rules = rateLimitRules(endpoint, input.body);
    send(endpoint, await options.rateLimiter.countOutcome(rules, context, handle), context, req, res);
  } catch (error) {
    if (principal && error instanceof ApiError && error.definition.challenges)
      options.onDenied?.({ operationId: endpoint.operationId, principal, request: context, error });
    throw error;
  }
}

/** Returns a promise only if the request needs a lookup: a refresh awaits nothing here. */
function findPrincipal({ scopes, optionalAuth }: Endpoint, options: EndpointOptions, req: Request) {
  if (scopes !== undefined) return authenticate(credentialsOf(req), options);
  return optionalAuth === undefined ? undefined : authenticateOptional(req, options.verify, optionalAuth);
}

function rateLimitRules({ rateLimit = [] }: Endpoint, body: unknown): readonly RateLimitRule[] {
  return [typeof rateLimit === 'function' ? rateLimit(body) : rateLimit].flat();
}

const sessionFacts = ({ userId, sessionId }: Principal) => ({ userId, ...(sessionId && { sessionId }) });

function parsePart(part: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (!result.success) throw new ValidationFailed(fieldErrorsOf(part, result.error));
  return result.data;
}

function parseQuery({ query }: Endpoint, { query: sent }: Request): unknown {
  const result = query?.safeParse(sent);
  if (!result || result.success) return result?.data;
  const errors = fieldErrorsOf('query', result.error);
  const isRepeated = (path: string) => query && path in query.shape && Array.isArray(sent[path]);
  throw new ValidationFailed(
    errors.map(({ path, message }) => ({ path, message: isRepeated(path) ? 'must be sent once' : message })),
  );
}

/** A malformed id cannot belong to a resource, so it is a 404. */
function parseParams({ params }: Endpoint, req: Request): unknown {
  const result = params?.safeParse(req.params);
  if (result && !result.success) throw new NotFound('malformed id');
  return result?.data;
}

/** Pages with the cookie need no body. Any other client that declares JSON and sends nothing has lost its token. */
const mayBeEmpty = ({ headers }: Request): boolean =>
  headers['content-type'] === undefined || headers.cookie !== undefined || headers['x-csrf-token'] !== undefined;

const noMembers = z.strictObject({});

async function readBody(endpoint: Endpoint, context: RequestContext, req: Request): Promise<unknown> {
  const { method, body, bodyType, optionalBody, refreshCookie } = endpoint;
  // The body of a GET or DELETE has no meaning (RFC 9110 section 9.3).
  if (!body) return method === 'post' ? parsePart('body', noMembers, await readOptionalJson(req)) : undefined;
  if (bodyType === 'form') return readFormBody(req, context, (form) => parsePart('body', body, form));
  const isOptional = optionalBody || (refreshCookie && mayBeEmpty(req));
  return parsePart('body', body, await (isOptional ? readOptionalJson(req) : readJson(req)));
}
