import type { Request, Response } from 'express';
import type { z } from 'zod';
import { countedAddress } from '../kernel/network.ts';
import { Refusal } from '../kernel/refusal.ts';
import { authenticate, type Authentication, type Caller, credentialsOf, recognize } from './authenticate.ts';
import { readForm, readJson } from './body.ts';
import { type Browser, type BrowserPolicy, browserOf } from './browser.ts';
import { type Client, clientOf, contextOf, type RequestContext } from './context.ts';
import { type Endpoint, refusalsOf } from './endpoint.ts';
import type { CountRequest } from './rate-limit.ts';
import { faultsOf } from './faults.ts';
import { InsufficientScope, NotFound, ValidationFailed } from './refusals.ts';
import { given, schemaOf, send } from './send.ts';

function parsePart(part: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (!result.success) throw new ValidationFailed(faultsOf(part, result.error));
  return result.data;
}

/** An id that no resource can have is a resource that is not there. */
function parseParams({ params }: Endpoint, req: Request): unknown {
  const result = params?.safeParse(req.params);
  if (result && !result.success) throw new NotFound('malformed id');
  return result?.data;
}

/** Somebody who is known was told to come with another credential. */
export interface RefusedCall {
  operationId: string;
  caller: Caller;
  client: Client;
  refusal: Refusal;
}

export interface EndpointOptions extends Authentication {
  count: CountRequest;
  /** In tests: parses each reply by its schema, and fails on a refusal that was not declared. */
  checkReplies: boolean;
  browsers: BrowserPolicy;
  /** Told before the answer, which does not wait for it. */
  onRefusedCall?: (call: RefusedCall) => void;
}

/** A promise only where somebody must be known: the hot path waits for nothing here. */
function callerOf({ needs, welcomes }: Endpoint, options: EndpointOptions, req: Request) {
  if (needs !== undefined) return authenticate(credentialsOf(req), options);
  return welcomes === undefined ? undefined : recognize(req, options.verify, welcomes);
}

const hasBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined ||
  headers['content-type'] !== undefined ||
  Number(headers['content-length'] ?? 0) > 0;

async function readBody({ body, bodyType, refreshCookie }: Endpoint, context: RequestContext, req: Request) {
  if (!body) return undefined;
  if (bodyType === 'form') return parsePart('body', body, (context.form = await readForm(req)));
  return parsePart('body', body, refreshCookie && !hasBody(req) ? {} : await readJson(req));
}

interface Arrived {
  client: Client;
  browser: Browser;
}

/**
 * Counts the request before anything is done for it, and gives the way to its body. Where the body says what it counts
 * by, that is read before; a body that cannot be read counts for the address. @throws RateLimited
 */
async function admit(endpoint: Endpoint, options: EndpointOptions, who: Arrived, req: Request, res: Response) {
  const { limit = 'default' } = endpoint;
  const context = contextOf(res);
  const [read] = endpoint.countedBy ? await Promise.allSettled([readBody(endpoint, context, req)]) : [];
  const key = read?.status === 'fulfilled' ? endpoint.countedBy?.(read.value, who.browser) : undefined;
  const group = (read?.status === 'fulfilled' && endpoint.limitOf?.(read.value)) || limit;
  if (group !== 'none') await options.count(group, key ?? countedAddress(who.client.ip), req, res);
  if (read?.status === 'rejected') throw read.reason;
  return () => (read ? read.value : readBody(endpoint, context, req));
}

/** Runs one request: are there too many, who is it, what do they want, do it, answer. */
export async function serve(endpoint: Endpoint, options: EndpointOptions, req: Request, res: Response): Promise<void> {
  const context = contextOf(res);
  context.route = endpoint.path;
  context.answerRefusal = endpoint.answerRefusal;
  const who = { client: clientOf(req, res), browser: browserOf(req, options.browsers) };
  const body = await admit(endpoint, options, who, req, res);
  const found = callerOf(endpoint, options, req);
  const caller = found instanceof Promise ? await found : found;
  try {
    if (caller) Object.assign(context, { userId: caller.userId, sessionId: caller.sessionId });
    if (caller && endpoint.needs !== undefined) requireScope(caller, endpoint.needs);
    const input = {
      params: parseParams(endpoint, req),
      query: parsePart('query', endpoint.query, req.query),
      body: await body(),
      caller,
      ...who,
      get credentials() {
        return credentialsOf(req);
      },
    };
    const reply = options.checkReplies ? await checked(endpoint, input) : await endpoint.handle(input);
    send(endpoint, reply, req, res);
  } catch (error) {
    if (caller && error instanceof Refusal && error.kind.challenges)
      options.onRefusedCall?.({ operationId: endpoint.operationId, caller, client: who.client, refusal: error });
    throw error;
  }
}

function requireScope({ scopes }: Caller, scope: string): void {
  if (!scopes.includes(scope)) throw new InsufficientScope(scope);
}

/** What a test wants to know besides the answer: that the endpoint keeps to its own declaration. */
async function checked(endpoint: Endpoint, input: Parameters<Endpoint['handle']>[0]): Promise<unknown> {
  try {
    const reply = await endpoint.handle(input);
    const { status, body } = given(endpoint, reply);
    schemaOf(endpoint, status)?.parse(body);
    return reply;
  } catch (error) {
    if (error instanceof Refusal && !refusalsOf(endpoint).some(({ kind }) => kind === error.kind))
      throw new Error(`${endpoint.operationId} does not declare ${error.message}`, { cause: error });
    throw error;
  }
}
