import { type Response, Router } from 'express';
import { contextOf } from '../request-context.ts';
import type { Endpoint } from '../endpoint.ts';
import { NotFound } from '../../core/errors.ts';
import { MethodNotAllowed } from '../errors.ts';
import { type EndpointOptions, handleRequest } from '../handle-request.ts';

/** Routes requests to the declared endpoints. A wrong method gets 405 with `Allow`, an unknown path gets 404. */
export function makeRoutes(endpoints: readonly Endpoint[], options: EndpointOptions): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const methods = new Map<string, string[]>();
  const countUndeclared = (res: Response) => options.rateLimiter.countRequest('default', contextOf(res));
  for (const endpoint of endpoints) {
    router[endpoint.method](endpoint.path, (req, res) => handleRequest(endpoint, options, req, res));
    const upper = endpoint.method.toUpperCase();
    methods.set(endpoint.path, [
      ...(methods.get(endpoint.path) ?? []),
      ...(upper === 'GET' ? ['GET', 'HEAD'] : [upper]),
    ]);
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed, 'OPTIONS'].join(', ');
    router.options(path, (_req, res) => void res.writeHead(204, { ...contextOf(res).headers, Allow: allow }).end());
    router.all(path, async (_req, res) => {
      await countUndeclared(res);
      throw new MethodNotAllowed(allow);
    });
  }
  router.use(async (_req, res) => {
    await countUndeclared(res);
    throw new NotFound('route');
  });
  return router;
}
