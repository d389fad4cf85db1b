import type { z } from 'zod';
import { NotReady, type RefusalClass } from '../kernel/refusal.ts';
import type { Caller } from './authenticate.ts';
import type { Browser } from './browser.ts';
import type { Client } from './context.ts';
import { type LimitGroup, RateLimited } from './rate-limit.ts';
import {
  InsufficientScope,
  InternalError,
  InvalidAccessToken,
  MalformedJson,
  NotFound,
  PayloadTooLarge,
  UnsupportedMediaType,
  ValidationFailed,
} from './refusals.ts';
import type { Answer } from './send.ts';

type Schema = z.ZodType | undefined;
type Parsed<S extends Schema> = S extends z.ZodType ? z.output<S> : undefined;

export interface Input<Needs extends string | undefined, Body, Query, Params> {
  body: Body;
  query: Query;
  params: Params;
  /** Who calls; undefined where that is open and nobody with a good access token does. */
  caller: Needs extends string ? Caller : Caller | undefined;
  client: Client;
  browser: Browser;
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
  /** What the request counts by, where its body or its cookie says; else the client's address. */
  countedBy?(body: Parsed<Body>, browser: Browser): string | undefined;
  body?: Body;
  /** Whether it takes the cookie of browser apps: instead of a body, which may then be left out, or always. */
  refreshCookie?: 'alternative' | 'required';
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
  handle(input: Input<Needs, Parsed<Body>, Parsed<Query>, Parsed<Params>>): Given<Reply> | Promise<Given<Reply>>;
}

type ReplyOf<Reply extends Schema> = Reply extends z.ZodType ? z.output<Reply> : void;
/** A reply, or one with headers of its own. */
type Given<Reply extends Schema> = ReplyOf<Reply> | Answer<ReplyOf<Reply>>;

/** A declaration with its types forgotten: what routes and documents are made of. */
export type Endpoint = Omit<Declaration<string | undefined, Schema, Schema, Schema, Schema>, 'handle' | 'countedBy'> & {
  countedBy?(body: unknown, browser: Browser): string | undefined;
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
