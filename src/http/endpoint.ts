import { z } from 'zod';
import type { ApiError, ApiErrorClass, ErrorDefinition } from '../lib/errors.ts';
import type { Principal } from '../core/authorization/principal.ts';
import type { RequestInfo } from '../core/request-info.ts';
import type { Credentials } from './authenticate.ts';
import type { Form } from './form.ts';
import type { BrowserHeaders } from './csrf.ts';
import type { Ceiling, RateLimitRule } from './rate-limits/rate-limit.ts';

type Schema = z.ZodType | undefined;
type QuerySchema = z.ZodObject | undefined;
type Parsed<S extends Schema> = S extends z.ZodType ? z.output<S> : undefined;
type Scopes = readonly [string, ...string[]] | undefined;

/** What a handler receives: the parsed parts of the request. */
export interface Input<RequiredScopes extends Scopes, Body, Query, Params> {
  body: Body;
  query: Query;
  params: Params;
  /** Undefined only if the endpoint requires no scopes and the request has no valid access token. */
  principal: RequiredScopes extends readonly string[] ? Principal : Principal | undefined;
  /** For endpoints that authenticate the client themselves. Reading it throws ValidationFailed for repeated headers. */
  readonly credentials: Credentials;
  request: RequestInfo;
  browser: BrowserHeaders;
}

/** A response with its own headers, or with the status of an alternative. */
export class ResponseWithHeaders<Body> {
  readonly body: Body;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly status: number | undefined;

  constructor(body: Body, headers: Readonly<Record<string, string | string[]>>, status?: number) {
    this.body = body;
    this.headers = headers;
    this.status = status;
  }
}

/** A second successful outcome with its own status. The handler returns it as `ResponseWithHeaders` with that status. */
export interface AlternativeResponse {
  status: number;
  response: z.ZodType;
  description: string;
}

/** What is known about a request when it fails. */
export interface FailedRequest {
  /** The id that the response has. */
  requestId: string;
  /** The value of `Retry-After`. */
  retryAfterSeconds: number | undefined;
  /** The raw parameters of the form; undefined if no form was read. */
  form: Form | undefined;
}

/** An error response in another format than a problem document. Status and headers default to the error's own. */
export interface ErrorResponse {
  status?: number;
  body: unknown;
  type: string;
  headers?: Readonly<Record<string, string>>;
}

export type RenderError = (error: ApiError, request: FailedRequest) => ErrorResponse;

/** Describes what `renderError` produces, for the OpenAPI document. */
export interface ErrorFormat {
  schema: z.ZodType;
  type: string;
  /** The response member with the code that programs decide by. */
  codeMember: string;
  outcomeOf: (definition: ErrorDefinition) => { status: number; code: string; body: unknown };
}

type RateLimitRules = RateLimitRule | readonly RateLimitRule[];

/** Chooses the limits by the body. A method, so that its type fits `Endpoint` whatever the body is. */
interface ChooseRateLimit<Body> {
  choose(body: Body): RateLimitRules;
}

interface Declaration<
  RequiredScopes extends Scopes,
  Body extends Schema,
  Query extends QuerySchema,
  Params extends Schema,
  Response extends Schema,
  Alternatives extends readonly AlternativeResponse[],
> {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** In Express syntax: `/sessions/:id` */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  /** The scopes that the access token must have. Without them the endpoint is public. */
  scopes?: RequiredScopes;
  /** For public endpoints: a valid access token with this scope identifies the principal. */
  optionalAuth?: string;
  /** The limit on all requests of the client. Defaults to `default`. */
  ceiling?: Ceiling;
  /** Limits on certain outcomes, such as wrong passwords. */
  rateLimit?: RateLimitRules | ChooseRateLimit<Parsed<Body>>['choose'];
  /** Without it a POST can have an empty body or `{}`. */
  body?: Body;
  /** Whether the body can be missing or empty, which is the same as `{}`. */
  optionalBody?: boolean;
  /** Defaults to JSON. The schema of a form receives a record of strings. */
  bodyType?: 'form';
  /** Whether the endpoint accepts the refresh cookie: instead of a body, or always. */
  refreshCookie?: 'alternative' | 'required';
  query?: Query;
  /** Whether unknown query parameters are ignored: for URLs that other programs extend. Elsewhere they get 400. */
  ignoresUnknownQuery?: boolean;
  params?: Params;
  /** Without it the response is 204 without a body. */
  response?: Response;
  /** Defaults to 200 with a response schema and 204 without. */
  status?: number;
  contentType?: string;
  alternativeResponses?: Alternatives;
  /** Response headers such as `Cache-Control`. All other responses are `no-store`. */
  headers?: Record<string, string>;
  /** Whether pages of any origin can read the response; otherwise only those of `CORS_ORIGINS`. */
  publicCors?: boolean;
  /** Whether conditional requests can return 304 (RFC 9110 section 13). */
  cacheable?: boolean;
  errors?: readonly ApiErrorClass[];
  /** Renders every error of this endpoint, internal errors included. Defaults to problem documents. */
  renderError?: RenderError;
  /** Documents the format of `renderError`. */
  errorFormat?: ErrorFormat;
  /** Documents that OAuth clients can or must authenticate; the handler does it. */
  clientAuthentication?: 'optional' | 'required';
  /** Excludes the endpoint from the OpenAPI document: it belongs to a page and not to the API. */
  undocumented?: boolean;
  handle(
    input: Input<RequiredScopes, Parsed<Body>, Parsed<Query>, Parsed<Params>>,
  ): Returned<Response, Alternatives> | Promise<Returned<Response, Alternatives>>;
}

type BodyOf<Response extends Schema> = Response extends z.ZodType ? z.output<Response> : void;
/** A response body, or one with its own headers or the status of an alternative. */
type Returned<Response extends Schema, Alternatives extends readonly AlternativeResponse[]> =
  | BodyOf<Response>
  | ResponseWithHeaders<BodyOf<Response>>
  | ResponseWithHeaders<z.output<Alternatives[number]['response']>>;

/** A declaration without its type parameters. */
export type Endpoint = Omit<
  Declaration<Scopes, Schema, QuerySchema, Schema, Schema, readonly AlternativeResponse[]>,
  'handle' | 'rateLimit'
> & {
  rateLimit?: RateLimitRules | ChooseRateLimit<unknown>['choose'];
  handle(input: Input<Scopes, unknown, unknown, unknown>): unknown;
};

/**
 * Declares an endpoint. The declaration defines the route, the validation and the OpenAPI operation. Unknown query parameters are
 * errors: a filter that is ignored returns more than the client asked for.
 */
export function endpoint<
  const RequiredScopes extends Scopes = undefined,
  Body extends Schema = undefined,
  Query extends QuerySchema = undefined,
  Params extends Schema = undefined,
  Response extends Schema = undefined,
  Alternatives extends readonly AlternativeResponse[] = readonly [],
>(declaration: Declaration<RequiredScopes, Body, Query, Params, Response, Alternatives>): Endpoint {
  const { query, ignoresUnknownQuery } = declaration;
  return { ...declaration, query: ignoresUnknownQuery ? query : (query ?? z.object({})).strict() };
}
