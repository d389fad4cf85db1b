import cors, { type CorsOptions } from 'cors';
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHandler } from 'express';
import type { AllowedOrigins } from './allowed-origins.ts';
import type { Endpoint } from '../endpoint.ts';
import { contextOf } from '../request-context.ts';

/** How long browsers cache a preflight response. Chromium's maximum. */
const preflightSeconds = 7200;

/** The response headers that pages of other origins can read. */
const exposedHeaders = ['WWW-Authenticate', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'];

/**
 * The request headers that pages can send without configuration: those of the API, and those that tracing and HTTP libraries add to
 * every request. A preflight that does not allow one of them fails, and the page cannot do anything about it.
 */
const allowedHeaders = [
  'Authorization Content-Type X-API-Key X-CSRF-Token X-Request-Id X-Correlation-Id X-Requested-With',
  // W3C Trace Context and Baggage, Sentry, Zipkin, Jaeger
  'traceparent tracestate baggage sentry-trace b3 uber-trace-id',
  'X-B3-TraceId X-B3-SpanId X-B3-ParentSpanId X-B3-Sampled X-B3-Flags',
  // Datadog
  'x-datadog-trace-id x-datadog-parent-id x-datadog-origin x-datadog-sampling-priority x-datadog-tags',
  // New Relic, Elastic APM, Application Insights, AWS X-Ray, Google Cloud Trace
  'newrelic elastic-apm-traceparent Request-Id Request-Context X-Amzn-Trace-Id X-Cloud-Trace-Context',
].flatMap((names) => names.split(' '));

export interface CorsConfig {
  allowedOrigins: AllowedOrigins;
  /** The origin of the service itself, whose pages need no permission. */
  ownOrigin: string;
  /** `CORS_ALLOWED_HEADERS` */
  moreHeaders: readonly string[];
}

/** The request headers that need no permission (Fetch standard section 2.2.2). */
const safelistedHeaders = ['Accept', 'Accept-Language', 'Content-Language', 'Range'];

const isToken = (name: string): boolean => /^[\w!#$%&'*+.^`|~-]+$/.test(name);

/** Requests that browsers send with `Origin` but that CORS does not concern: of pages of this service, and forms. */
const needsNoPermission = (headers: IncomingHttpHeaders): boolean =>
  headers['sec-fetch-site'] === 'same-origin' || headers['sec-fetch-mode'] === 'navigate';

const common: CorsOptions = {
  exposedHeaders,
  maxAge: preflightSeconds,
  preflightContinue: true, // the OPTIONS route of the path responds, or 404 if the path is unknown
};

/**
 * CORS (Fetch standard section 3.2). Pages of allowed origins can call every endpoint with credentials. Pages of any origin can
 * call endpoints that are declared `publicCors`, without credentials.
 */
export function allowOrigins(endpoints: readonly Endpoint[], config: CorsConfig): RequestHandler {
  const { allowedOrigins, ownOrigin, moreHeaders } = config;
  const open = new Set(endpoints.filter(({ publicCors }) => publicCors).map(({ path }) => path));
  const forAnyOrigin = cors({ ...common, origin: '*', methods: ['GET', 'HEAD'] });
  const headerNames = [...allowedHeaders, ...moreHeaders];
  const canBeSent = new Set([...headerNames, ...safelistedHeaders].map((name) => name.toLowerCase()));
  const warnOfHeaders = (origin: string, requested: string | string[] = '') => {
    for (const name of String(requested).toLowerCase().split(','))
      if (isToken(name.trim()) && !canBeSent.has(name.trim())) allowedOrigins.warnOfHeader(origin, name.trim());
  };
  const forAllowedOrigins = cors({
    ...common,
    origin: true,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: headerNames,
  });
  return (req, res, next) => {
    if (open.has(req.path)) return forAnyOrigin(req, res, next);
    contextOf(res).addVary('Origin');
    const { origin } = req.headers;
    if (origin === undefined) return next();
    if (allowedOrigins.has(origin)) {
      if (req.method === 'OPTIONS') warnOfHeaders(origin, req.headers['access-control-request-headers']);
      return forAllowedOrigins(req, res, next);
    }
    if (origin !== ownOrigin && !needsNoPermission(req.headers)) allowedOrigins.warnOfOrigin(origin);
    next();
  };
}
