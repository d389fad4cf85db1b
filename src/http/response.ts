import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Endpoint } from './endpoint.ts';

type Payload = string | Uint8Array;

/** A reply as one client takes it. */
interface Representation {
  payload: Payload;
  /** Undefined: as it is. */
  coding?: string;
  /** Undefined: not known yet. */
  etag?: string;
}

const etagOf = (payload: Payload): string =>
  `"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;

/** The better one first. Brotli's best quality would take 2.6 s for a megabyte, to save a tenth of what 6 leaves. */
const codings = {
  br: (bytes: Uint8Array) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } }),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes),
};

/** A reply of bytes that are the same for all: compressed and tagged once, sent in a coding that the client takes. */
export class StaticBytes {
  readonly #plain: Representation;
  readonly #smaller: (Representation & { coding: string })[];

  /** RFC 9110 section 8.8.3.3: each coding has a tag of its own. */
  constructor(bytes: Uint8Array, compressed: { coding: string; payload: Uint8Array }[]) {
    this.#plain = { payload: bytes, etag: etagOf(bytes) };
    this.#smaller = compressed
      .filter(({ payload }) => payload.length < bytes.length)
      .map(({ coding, payload }) => ({ coding, payload, etag: etagOf(payload) }));
  }

  static async of(bytes: Uint8Array): Promise<StaticBytes> {
    const compressed = Object.entries(codings).map(async ([coding, run]) => ({ coding, payload: await run(bytes) }));
    return new StaticBytes(bytes, await Promise.all(compressed));
  }

  for(req: Request): Representation {
    return this.#smaller.find(({ coding }) => req.acceptsEncodings(coding)) ?? this.#plain;
  }
}

function represent(reply: unknown, req: Request, res: Response): Representation {
  if (!(reply instanceof StaticBytes)) return { payload: typeof reply === 'string' ? reply : JSON.stringify(reply) };
  res.vary('Accept-Encoding');
  return reply.for(req);
}

function knows(req: Request, etag: string): boolean {
  const known = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}

/** A reply that has headers of its own, or the status of another outcome than the declared one. */
export class ResponseWithHeaders<Body> {
  readonly body: Body;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number | undefined;

  constructor(body: Body, headers: Readonly<Record<string, string>>, status?: number) {
    this.body = body;
    this.headers = headers;
    this.status = status;
  }
}

/** The status of an endpoint's first good outcome. */
export const statusOf = ({ status, response }: Endpoint): number => status ?? (response ? 200 : 204);

/** What a reply has with this status; undefined: no body. @throws where the endpoint does not declare the status */
export function schemaOf(endpoint: Endpoint, status: number): z.ZodType | undefined {
  if (status === statusOf(endpoint)) return endpoint.response;
  const other = endpoint.alternativeResponses?.find((each) => each.status === status);
  if (!other) throw new Error(`${endpoint.operationId} does not declare ${status}`);
  return other.response;
}

/** What `handle` returned, in its parts. */
export function returnedParts(endpoint: Endpoint, returned: unknown) {
  if (!(returned instanceof ResponseWithHeaders)) return { status: statusOf(endpoint), body: returned, headers: {} };
  const { body, headers, status = statusOf(endpoint) } = returned as ResponseWithHeaders<unknown>;
  return { status, body, headers };
}

/** Answers with what `handle` returned. */
export function send(endpoint: Endpoint, returned: unknown, req: Request, res: Response): void {
  const { status, body, headers: own } = returnedParts(endpoint, returned);
  const headers = { 'Cache-Control': 'no-store', ...endpoint.headers, ...own };
  if (!schemaOf(endpoint, status)) return void res.writeHead(status, headers).end();
  const { payload, coding, etag: known } = represent(body, req, res);
  const content = {
    'Content-Type': endpoint.contentType ?? 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(payload),
    ...(coding ? { 'Content-Encoding': coding } : {}),
  };
  if (!endpoint.cacheable || status !== 200) return void res.writeHead(status, { ...headers, ...content }).end(payload);
  const etag = known ?? etagOf(payload);
  if (knows(req, etag)) return void res.writeHead(304, { ...headers, ETag: etag }).end();
  res.writeHead(200, { ...headers, ...content, ETag: etag }).end(payload);
}
