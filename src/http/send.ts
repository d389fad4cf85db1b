import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Endpoint } from './endpoint.ts';

/** Answers with what an endpoint gave: its status, type and headers; 304 where the client has it already. */
export function send(endpoint: Endpoint, reply: unknown, req: Request, res: Response): void {
  const headers = { 'Cache-Control': 'no-store', ...endpoint.headers };
  if (!endpoint.reply) return void res.writeHead(endpoint.status ?? 204, headers).end();
  const payload = typeof reply === 'string' ? reply : JSON.stringify(reply);
  const type = {
    'Content-Type': endpoint.replyType ?? 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(payload),
  };
  if (!endpoint.cacheable) return void res.writeHead(endpoint.status ?? 200, { ...headers, ...type }).end(payload);
  const etag = `"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;
  const known = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag) || known.includes('*')) return void res.writeHead(304, { ...headers, ETag: etag }).end();
  res.writeHead(200, { ...headers, ...type, ETag: etag }).end(payload);
}
