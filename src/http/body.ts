import type { IncomingMessage } from 'node:http';
import { MalformedJson, PayloadTooLarge, UnsupportedMediaType } from './refusals.ts';

const bodyLimitBytes = 16 * 1024;

/** The client went away in the middle of its request; there is nobody to answer. */
export class ClientGone extends Error {}

function readBytes(req: IncomingMessage): Promise<Buffer> {
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
    req.on('error', () => reject(new ClientGone('the client went away')));
    req.on('close', () => req.complete || reject(new ClientGone('the client went away')));
  });
}

const jsonType = /^application\/json *(; *charset="?utf-8"? *)?$/i;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The JSON value of a request's body, at most 16 KiB. Strict about its bytes: a decoder that replaced what is not UTF-8
 * would make different passwords one.
 * @throws UnsupportedMediaType, PayloadTooLarge, MalformedJson, ClientGone
 */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') throw new UnsupportedMediaType('content encoding');
  if (!jsonType.test(req.headers['content-type'] ?? '')) throw new UnsupportedMediaType('content type');
  const bytes = await readBytes(req);
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw new MalformedJson('syntax');
  }
}
