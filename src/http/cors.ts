import cors, { type CorsOptions } from 'cors';
import type { RequestHandler } from 'express';
import type { Endpoint } from './endpoint.ts';

/** How long a browser may keep a preflight's answer; Chromium keeps none for longer. */
const preflightSeconds = 7200;

/** What a page of another origin may read of an answer besides its body. */
const exposedHeaders = ['WWW-Authenticate', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'];

const common: CorsOptions = {
  exposedHeaders,
  maxAge: preflightSeconds,
  preflightContinue: true, // the route's own OPTIONS answers, or 404 where there is none
};

/**
 * CORS (Fetch standard section 3.2). Exact origins, with credentials; every origin, without, where an endpoint is declared
 * `publicCors`. For any other page there is no such header, and its browser lets it read nothing.
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
