import type { Request, Response } from 'express';
import { z } from 'zod';
import { NotReady, Refusal, type RefusalClass } from '../kernel/refusal.ts';
import { countedAddress } from '../kernel/network.ts';
import { authenticate, type Caller, recognize, type VerifyAccessToken } from './authenticate.ts';
import { readJson } from './body.ts';
import { type Client, clientOf, contextOf } from './context.ts';
import { type CountRequest, type LimitGroup, RateLimited } from './rate-limit.ts';
import {
  type Fault,
  InsufficientScope,
  InternalError,
  InvalidAccessToken,
  MalformedJson,
  NotFound,
  PayloadTooLarge,
  UnsupportedMediaType,
  ValidationFailed,
} from './refusals.ts';
import { send } from './send.ts';

type Schema = z.ZodType | undefined;
type Parsed<S extends Schema> = S extends z.ZodType ? z.output<S> : undefined;

export interface Input<Needs extends string | undefined, Body, Query, Params> {
  body: Body;
  query: Query;
  params: Params;
  /** Who calls; undefined where that is open and nobody with a good access token does. */
  caller: Needs extends string ? Caller : Caller | undefined;
  client: Client;
}

interface Declaration<
  Needs extends string | undefined,
  Body extends Schema,
  Query extends Schema,
  Params extends Schema,
  Reply extends Schema,
> {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** Express' form: `/sessions/:id` */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  /** The scope that the access token must hold. Left out: open to all. */
  needs?: Needs;
  /** Open to all, but who comes with a good access token of this scope is known. */
  welcomes?: string;
  /** Left out: `default`. `none` is for probes, which must tell of the process even when its clients ask for too much. */
  limit?: LimitGroup | 'none';
  /** What the request counts by, where its body says; else the client's address. */
  countedBy?(body: Parsed<Body>): string | undefined;
  body?: Body;
  query?: Query;
  params?: Params;
  /** Left out: 204 without a body. */
  reply?: Reply;
  /** 200 where there is a reply, 204 where there is none */
  status?: number;
  replyType?: string;
  /** `Cache-Control` and what else a client may keep the answer by; every other answer is `no-store`. */
  headers?: Record<string, string>;
  /** Whether pages of any origin may read it; else only those of `CORS_ORIGINS`. */
  openToAllOrigins?: boolean;
  /** Whether it may answer a conditional request with 304 (RFC 9110 section 13). */
  cacheable?: boolean;
  refusals?: readonly RefusalClass[];
  /** Left out of the OpenAPI document: a part of a page, not an operation of the API. */
  undocumented?: boolean;
  handle(input: Input<Needs, Parsed<Body>, Parsed<Query>, Parsed<Params>>): ReplyOf<Reply> | Promise<ReplyOf<Reply>>;
}

type ReplyOf<Reply extends Schema> = Reply extends z.ZodType ? z.output<Reply> : void;

/** A declaration with its types forgotten: what routes and documents are made of. */
export type Endpoint = Omit<Declaration<string | undefined, Schema, Schema, Schema, Schema>, 'handle' | 'countedBy'> & {
  countedBy?(body: unknown): string | undefined;
  handle(input: Input<string | undefined, unknown, unknown, unknown>): unknown;
};

/** One declaration makes the route, the validation and the OpenAPI operation. */
export function endpoint<
  Needs extends string | undefined = undefined,
  Body extends Schema = undefined,
  Query extends Schema = undefined,
  Params extends Schema = undefined,
  Reply extends Schema = undefined,
>(declaration: Declaration<Needs, Body, Query, Params, Reply>): Endpoint {
  return declaration;
}

const mostFaults = 100;

function faultsOf(part: string, error: z.ZodError): Fault[] {
  return error.issues
    .flatMap(({ path, message, ...issue }): Fault[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...path, key.slice(0, 64)].join('.'), message: 'is not known' }))
        : [{ path: path.join('.') || part, message }],
    )
    .slice(0, mostFaults);
}

function parsePart(part: string, schema: Schema, value: unknown): unknown {
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

/** All that may be refused here: what the endpoint names, and what follows from its shape. */
export function refusalsOf({ needs, limit, body, query, params, refusals = [] }: Endpoint): readonly RefusalClass[] {
  return [
    ...new Set([
      ...(needs ? [InvalidAccessToken, InsufficientScope, ValidationFailed, NotReady] : []),
      ...(body ? [MalformedJson, ValidationFailed, PayloadTooLarge, UnsupportedMediaType] : []),
      ...(query ? [ValidationFailed] : []),
      ...(params ? [NotFound] : []),
      ...refusals,
      ...(limit === 'none' ? [] : [RateLimited]),
      InternalError,
    ]),
  ];
}

export interface EndpointOptions {
  verify: VerifyAccessToken;
  count: CountRequest;
  /** In tests: parses each reply by its schema, and fails on a refusal that was not declared. */
  checkReplies: boolean;
}

function callerOf({ needs, welcomes }: Endpoint, verify: VerifyAccessToken, req: Request): Caller | undefined {
  if (needs !== undefined) return authenticate(req, verify, needs);
  return welcomes === undefined ? undefined : recognize(req, verify, welcomes);
}

const readBody = async (endpoint: Endpoint, req: Request): Promise<unknown> =>
  endpoint.body && parsePart('body', endpoint.body, await readJson(req));

/**
 * Counts the request before anything is done for it, and gives the way to its body. Where the body says what it counts
 * by, that is read before; a body that cannot be read counts for the address. @throws RateLimited
 */
async function admit(endpoint: Endpoint, options: EndpointOptions, ip: string, req: Request, res: Response) {
  const { limit = 'default' } = endpoint;
  const [read] = endpoint.countedBy ? await Promise.allSettled([readBody(endpoint, req)]) : [];
  const key = read?.status === 'fulfilled' ? endpoint.countedBy?.(read.value) : undefined;
  if (limit !== 'none') await options.count(limit, key ?? countedAddress(ip), req, res);
  if (read?.status === 'rejected') throw read.reason;
  return () => (read ? read.value : readBody(endpoint, req));
}

/** Runs one request: are there too many, who is it, what do they want, do it, answer. */
export async function serve(endpoint: Endpoint, options: EndpointOptions, req: Request, res: Response): Promise<void> {
  const context = contextOf(res);
  context.route = endpoint.path;
  const client = clientOf(req, res);
  const body = await admit(endpoint, options, client.ip, req, res);
  const caller = callerOf(endpoint, options.verify, req);
  if (caller) Object.assign(context, { userId: caller.userId, sessionId: caller.sessionId });
  const input = {
    params: parseParams(endpoint, req),
    query: parsePart('query', endpoint.query, req.query),
    body: await body(),
    caller,
    client,
  };
  const reply = options.checkReplies ? await checked(endpoint, input) : await endpoint.handle(input);
  send(endpoint, reply, req, res);
}

/** What a test wants to know besides the answer: that the endpoint keeps to its own declaration. */
async function checked(endpoint: Endpoint, input: Parameters<Endpoint['handle']>[0]): Promise<unknown> {
  try {
    const reply = await endpoint.handle(input);
    endpoint.reply?.parse(reply);
    return reply;
  } catch (error) {
    if (error instanceof Refusal && !refusalsOf(endpoint).some(({ kind }) => kind === error.kind))
      throw new Error(`${endpoint.operationId} does not declare ${error.message}`, { cause: error });
    throw error;
  }
}
