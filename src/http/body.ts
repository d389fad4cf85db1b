import type { IncomingMessage } from 'node:http';
import { ClientDisconnected } from '../core/request-info.ts';
import {
  FormExpected,
  MalformedForm,
  MalformedJson,
  PayloadTooLarge,
  RepeatedParameter,
  UnsupportedMediaType,
} from './errors.ts';

const bodyLimitBytes = 16 * 1024;

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
    req.on('error', () => reject(new ClientDisconnected('the client disconnected')));
    req.on('close', () => req.complete || reject(new ClientDisconnected('the client disconnected')));
  });
}

const jsonType = /^application\/json *(; *charset="?utf-8"? *)?$/i;
const formType = /^application\/x-www-form-urlencoded *(; *charset="?utf-8"? *)?$/i;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns why the body cannot be read as `type`; undefined if it can. */
function mismatch({ headers }: IncomingMessage, type: RegExp): string | undefined {
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return 'content encoding';
  return type.test(headers['content-type'] ?? '') ? undefined : 'content type';
}

/**
 * Reads a JSON body of at most 16 KiB. Invalid UTF-8 is an error: replacing it would make different passwords equal.
 * @throws UnsupportedMediaType, PayloadTooLarge, MalformedJson, ClientDisconnected
 */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const reason = mismatch(req, jsonType);
  if (reason !== undefined) throw new UnsupportedMediaType(reason);
  return parseJson(await readBytes(req));
}

/** Reads an optional JSON body. An empty body has no type. @returns `{}` for an empty body. @throws like `readJson` */
export async function readOptionalJson(req: IncomingMessage): Promise<unknown> {
  const bytes = await readBytes(req);
  if (bytes.length === 0) return {};
  const reason = mismatch(req, jsonType);
  if (reason !== undefined) throw new UnsupportedMediaType(reason);
  return parseJson(bytes);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw new MalformedJson('syntax');
  }
}

/** The parameters of a form, not validated. */
export type Form = Readonly<Record<string, string>>;

/** @throws URIError for incomplete escapes and invalid UTF-8 */
export const decodeFormText = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));

function pairsOf(bytes: Buffer): [name: string, value: string][] {
  const parts = utf8.decode(bytes).split('&');
  return parts
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', ...value] = part.split('=');
      return [decodeFormText(name), decodeFormText(value.join('='))];
    });
}

/**
 * Reads a URL-encoded form of at most 16 KiB. RFC 6749 section 3.2: "Request and response parameters MUST NOT be included more than
 * once". Otherwise two parsers could use two different values.
 * @throws FormExpected, PayloadTooLarge, MalformedForm, RepeatedParameter, ClientDisconnected
 */
export async function readForm(req: IncomingMessage): Promise<Form> {
  const reason = mismatch(req, formType);
  if (reason !== undefined) throw new FormExpected(reason);
  const bytes = await readBytes(req);
  const form = new Map<string, string>();
  for (const [name, value] of parsePairs(bytes)) {
    if (form.has(name)) throw new RepeatedParameter(name);
    form.set(name, value);
  }
  return Object.fromEntries(form);
}

function parsePairs(bytes: Buffer): [name: string, value: string][] {
  try {
    return pairsOf(bytes);
  } catch {
    throw new MalformedForm('syntax');
  }
}
