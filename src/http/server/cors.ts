import cors, { type CorsOptions } from 'cors';
import type { RequestHandler } from 'express';
import type { Endpoint } from '../endpoint.ts';

/** How long browsers cache a preflight response. Chromium's maximum. */
const preflightSeconds = 7200;

/** The response headers that pages of other origins can read. */
const exposedHeaders = ['WWW-Authenticate', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'];

const common: CorsOptions = {
  exposedHeaders,
  maxAge: preflightSeconds,
  preflightContinue: true, // the OPTIONS route of the path responds, or 404 if the path is unknown
};

/**
 * CORS (Fetch standard section 3.2). Pages of the listed origins can call every endpoint with credentials. Pages of any origin can
 * call endpoints that are declared `publicCors`, without credentials.
 */
export function allowOrigins(endpoints: readonly Endpoint[], origins: readonly string[]): RequestHandler {
  const open = new Set(endpoints.filter(({ publicCors }) => publicCors).map(({ path }) => path));
  const forAnyOrigin = cors({ ...common, origin: '*', methods: ['GET', 'HEAD'] });
  const forAllowedOrigins = cors({
    ...common,
    origin: true,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'X-CSRF-Token', 'X-Request-Id'],
  });
  return (req, res, next) => {
    if (open.has(req.path)) return forAnyOrigin(req, res, next);
    res.vary('Origin');
    return origins.includes(req.headers.origin ?? '') ? forAllowedOrigins(req, res, next) : next();
  };
}
