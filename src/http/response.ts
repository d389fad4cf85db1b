import type { Request, Response } from 'express';
import type { z } from 'zod';
import { type Endpoint, ResponseWithHeaders } from './endpoint.ts';
import type { RequestContext } from './request-context.ts';
import { etagOf, type Representation, StaticBytes } from './static-bytes.ts';

/** The status of an endpoint's main response. */
export const statusOf = ({ status, response }: Endpoint): number => status ?? (response ? 200 : 204);

/** The schema of the response with this status; undefined if it has no body. @throws if the endpoint does not declare the status */
export function schemaOf(endpoint: Endpoint, status: number): z.ZodType | undefined {
  if (status === statusOf(endpoint)) return endpoint.response;
  const alternative = endpoint.alternativeResponses?.find((each) => each.status === status);
  if (!alternative) throw new Error(`${endpoint.operationId} does not declare ${status}`);
  return alternative.response;
}

/** Normalizes the result of a handler. */
export function returnedParts(endpoint: Endpoint, returned: unknown) {
  if (!(returned instanceof ResponseWithHeaders)) return { status: statusOf(endpoint), body: returned, headers: {} };
  const { body, headers, status = statusOf(endpoint) }: ResponseWithHeaders<unknown> = returned;
  return { status, body, headers };
}

/** Sends the result of a handler. */
export function send(
  endpoint: Endpoint,
  returned: unknown,
  context: RequestContext,
  req: Request,
  res: Response,
): void {
  const { status, body, headers: own } = returnedParts(endpoint, returned);
  const representation = schemaOf(endpoint, status) && represent(body, context, req);
  const headers = { ...context.headers, 'Cache-Control': 'no-store', ...endpoint.headers, ...own };
  if (!representation) return void res.writeHead(status, headers).end();
  const { payload, encoding, etag: knownEtag } = representation;
  const content = {
    'Content-Type': endpoint.contentType ?? 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(payload),
    ...(encoding ? { 'Content-Encoding': encoding } : {}),
  };
  if (!endpoint.cacheable || status !== 200) return void res.writeHead(status, { ...headers, ...content }).end(payload);
  const etag = knownEtag ?? etagOf(payload);
  if (hasCurrentCopy(req, etag)) return void res.writeHead(304, { ...headers, ETag: etag }).end();
  res.writeHead(200, { ...headers, ...content, ETag: etag }).end(payload);
}

function represent(body: unknown, context: RequestContext, req: Request): Representation {
  if (!(body instanceof StaticBytes)) return { payload: typeof body === 'string' ? body : JSON.stringify(body) };
  context.addVary('Accept-Encoding');
  return body.representationFor(req);
}

/** RFC 9110 section 13.1.2 */
function hasCurrentCopy(req: Request, etag: string): boolean {
  const known = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}
