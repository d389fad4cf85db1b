import cors, { type CorsOptions } from 'cors';
import type { RequestHandler } from 'express';
import type { Endpoint } from '../endpoint.ts';

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
  /** `CORS_ORIGINS` */
  origins: readonly string[];
  /** `CORS_ALLOWED_HEADERS` */
  moreHeaders: readonly string[];
}

const common: CorsOptions = {
  exposedHeaders,
  maxAge: preflightSeconds,
  preflightContinue: true, // the OPTIONS route of the path responds, or 404 if the path is unknown
};

/**
 * CORS (Fetch standard section 3.2). Pages of the listed origins can call every endpoint with credentials. Pages of any origin can
 * call endpoints that are declared `publicCors`, without credentials.
 */
export function allowOrigins(endpoints: readonly Endpoint[], { origins, moreHeaders }: CorsConfig): RequestHandler {
  const open = new Set(endpoints.filter(({ publicCors }) => publicCors).map(({ path }) => path));
  const forAnyOrigin = cors({ ...common, origin: '*', methods: ['GET', 'HEAD'] });
  const forAllowedOrigins = cors({
    ...common,
    origin: true,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: [...allowedHeaders, ...moreHeaders],
  });
  return (req, res, next) => {
    if (open.has(req.path)) return forAnyOrigin(req, res, next);
    res.vary('Origin');
    return origins.includes(req.headers.origin ?? '') ? forAllowedOrigins(req, res, next) : next();
  };
}
