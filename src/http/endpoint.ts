import type { z } from 'zod';
import { NotReady, type Refusal, type RefusalClass, type RefusalKind } from '../kernel/refusal.ts';
import type { Caller, Credentials } from './authenticate.ts';
import type { Form } from './body.ts';
import type { Browser } from './browser.ts';
import type { Client } from './context.ts';
import { type LimitGroup, RateLimited } from './rate-limit.ts';
import {
  FormExpected,
  InsufficientScope,
  InternalError,
  InvalidAccessToken,
  MalformedForm,
  MalformedJson,
  NotFound,
  PayloadTooLarge,
  RepeatedParameter,
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
  /** For an endpoint that judges them itself. Reading it throws ValidationFailed where a header stands twice. */
  readonly credentials: Credentials;
  client: Client;
  browser: Browser;
}

/** A second good outcome, with a status of its own: `handle` answers it with an `Answer` of that status. */
export interface OtherReply {
  status: number;
  reply: z.ZodType;
  description: string;
}

/** What is known of a request when it is refused. */
export interface Refused {
  requestId: string;
  /** What `Retry-After` says. */
  retryAfterSeconds: number | undefined;
  /** What the form said, not held to its schema; undefined where none was read. */
  form: Form | undefined;
}

/** An answer in another form than a problem document; the refusal's status and headers are its own where it has none. */
export interface RefusalAnswer {
  status?: number;
  body: unknown;
  type: string;
  headers?: Readonly<Record<string, string>>;
}

export type AnswerRefusal = (refusal: Refusal, refused: Refused) => RefusalAnswer;

/** What `answerRefusal` makes of the kinds of refusals, for the OpenAPI document. */
export interface RefusalForm {
  schema: z.ZodType;
  type: string;
  /** The member of the answer that programs decide by. */
  codeMember: string;
  outcomeOf: (kind: RefusalKind) => { status: number; code: string; body: unknown };
}

interface Declaration<
  Needs extends string | undefined,
  Body extends Schema,
  Query extends Schema,
  Params extends Schema,
  Reply extends Schema,
  Others extends readonly OtherReply[],
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
  /** The limit group, where the body says it. Needs `countedBy`. */
  limitOf?(body: Parsed<Body>): LimitGroup;
  /** What the request counts by, where its body or its cookie says; else the client's address. */
  countedBy?(body: Parsed<Body>, browser: Browser): string | undefined;
  body?: Body;
  /** Left out: JSON. A form is a record of strings for the schema. */
  bodyType?: 'form';
  /** Whether it takes the cookie of browser apps: instead of a body, which may then be left out, or always. */
  refreshCookie?: 'alternative' | 'required';
  query?: Query;
  params?: Params;
  /** Left out: 204 without a body. */
  reply?: Reply;
  /** 200 where there is a reply, 204 where there is none */
  status?: number;
  replyType?: string;
  alsoReplies?: Others;
  /** `Cache-Control` and what else a client may keep the answer by; every other answer is `no-store`. */
  headers?: Record<string, string>;
  /** Whether pages of any origin may read it; else only those of `CORS_ORIGINS`. */
  openToAllOrigins?: boolean;
  /** Whether it may answer a conditional request with 304 (RFC 9110 section 13). */
  cacheable?: boolean;
  refusals?: readonly RefusalClass[];
  /** Left out: a problem document. For all that is refused once a request has come here, our own faults too. */
  answerRefusal?: AnswerRefusal;
  /** For the OpenAPI document: how `answerRefusal` answers. */
  refusalForm?: RefusalForm;
  /** For the OpenAPI document: an OAuth client may, or must, authenticate here, which `handle` sees to. */
  clientAuthentication?: 'optional' | 'required';
  /** Left out of the OpenAPI document: a part of a page, not an operation of the API. */
  undocumented?: boolean;
  handle(
    input: Input<Needs, Parsed<Body>, Parsed<Query>, Parsed<Params>>,
  ): Given<Reply, Others> | Promise<Given<Reply, Others>>;
}

type ReplyOf<Reply extends Schema> = Reply extends z.ZodType ? z.output<Reply> : void;
/** A reply, or one with headers of its own, or with the status of another. */
type Given<Reply extends Schema, Others extends readonly OtherReply[]> =
  ReplyOf<Reply> | Answer<ReplyOf<Reply>> | Answer<z.output<Others[number]['reply']>>;

/** A declaration with its types forgotten: what routes and documents are made of. */
export type Endpoint = Omit<
  Declaration<string | undefined, Schema, Schema, Schema, Schema, readonly OtherReply[]>,
  'handle' | 'countedBy' | 'limitOf'
> & {
  limitOf?(body: unknown): LimitGroup;
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
  Others extends readonly OtherReply[] = readonly [],
>(declaration: Declaration<Needs, Body, Query, Params, Reply, Others>): Endpoint {
  return declaration;
}

const badBodies = {
  json: [MalformedJson, ValidationFailed, PayloadTooLarge, UnsupportedMediaType],
  form: [MalformedForm, RepeatedParameter, ValidationFailed, PayloadTooLarge, FormExpected],
};

/** All that may be refused here: what the endpoint names, and what follows from its shape. */
export function refusalsOf(endpoint: Endpoint): readonly RefusalClass[] {
  const { needs, limit, body, bodyType = 'json', query, params, refusals = [] } = endpoint;
  return [
    ...new Set([
      ...(needs ? [InvalidAccessToken, InsufficientScope, ValidationFailed, NotReady] : []),
      ...(body ? badBodies[bodyType] : []),
      ...(query ? [ValidationFailed] : []),
      ...(params ? [NotFound] : []),
      ...refusals,
      ...(limit === 'none' ? [] : [RateLimited]),
      InternalError,
    ]),
  ];
}
