import { type Request, type Response, Router } from 'express';
import { countedAddress } from '../lib/network.ts';
import { contextOf } from './request-context.ts';
import type { Endpoint } from './endpoint.ts';
import { NotFound } from '../core/errors.ts';
import { MethodNotAllowed } from './errors.ts';
import { type EndpointOptions, handleRequest } from './handle-request.ts';

/** Express' router for the declared endpoints: 405 with `Allow` where only the method is wrong, 404 for the rest. */
export function makeRoutes(endpoints: readonly Endpoint[], options: EndpointOptions): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const methods = new Map<string, string[]>();
  const countUndeclared = (req: Request, res: Response) =>
    options.count('default', countedAddress(contextOf(res).ip), req, res);
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
    router.options(path, (_req, res) => void res.writeHead(204, { Allow: allow }).end());
    router.all(path, async (req, res) => {
      await countUndeclared(req, res);
      throw new MethodNotAllowed(allow);
    });
  }
  router.use(async (req, res) => {
    await countUndeclared(req, res);
    throw new NotFound('route');
  });
  return router;
}
