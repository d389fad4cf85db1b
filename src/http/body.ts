import type { IncomingMessage } from 'node:http';
import { MIMEType } from 'node:util';
import { ClientDisconnected } from '../core/request-info.ts';
import { MalformedJson, PayloadTooLarge, UnsupportedMediaType } from './errors.ts';

const bodyLimitBytes = 16 * 1024;

/** Reads a body of at most 16 KiB. @throws PayloadTooLarge, ClientDisconnected */
export function readBytes(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(req.headers['content-length'] ?? 0) > bodyLimitBytes) return reject(new PayloadTooLarge());
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= bodyLimitBytes) chunks.push(chunk);
      else reject(new PayloadTooLarge());
    });
    req.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    req.on('error', () => reject(new ClientDisconnected('the client disconnected')));
    req.on('close', () => req.complete || reject(new ClientDisconnected('the client disconnected')));
  });
}

export const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

interface MediaType {
  essence: string;
  /** Undefined if it is UTF-8, its subset ASCII, or missing. */
  charset: string | undefined;
}

/** Parses `Content-Type` (RFC 9110 section 8.3.1), with empty parameters and quoted values; undefined if it is malformed. */
export function parseMediaType(text: string): MediaType | undefined {
  try {
    const { essence, params } = new MIMEType(text);
    const charset = params.get('charset')?.trim() || 'utf-8';
    return { essence, charset: /^(utf-?8|us-ascii)$/i.test(charset) ? undefined : charset };
  } catch {
    return undefined;
  }
}

export const isEncoded = ({ headers }: IncomingMessage): boolean =>
  !/^(identity)?$/i.test((headers['content-encoding'] ?? '').trim());

/** Whether the request has a body, which can turn out to be empty if it is chunked (RFC 9112 section 6.3). */
const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Returns why the body cannot be read as JSON; undefined if it can. */
function jsonMismatch(req: IncomingMessage): string | undefined {
  if (isEncoded(req)) return 'content encoding';
  const type = parseMediaType(req.headers['content-type'] ?? '');
  return type?.essence === 'application/json' && type.charset === undefined ? undefined : 'content type';
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw new MalformedJson('syntax');
  }
}

/**
 * Reads a JSON body of at most 16 KiB. Invalid UTF-8 is an error: replacing it would make different passwords equal.
 * @throws UnsupportedMediaType, PayloadTooLarge, MalformedJson, ClientDisconnected
 */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const reason = jsonMismatch(req);
  if (reason !== undefined) throw new UnsupportedMediaType(reason);
  return parseJson(await readBytes(req));
}

/**
 * Reads an optional JSON body. An empty body has no type: some clients send `Content-Type` without a body, and some proxies send an
 * empty chunked body. @returns `{}` for an empty body. @throws like `readJson`
 */
export async function readOptionalJson(req: IncomingMessage): Promise<unknown> {
  if (!hasBody(req)) return {};
  const reason = jsonMismatch(req);
  const bytes = await readBytes(req);
  if (bytes.length === 0) return {};
  if (reason !== undefined) throw new UnsupportedMediaType(reason);
  return parseJson(bytes);
}
