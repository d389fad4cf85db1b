import type { IncomingMessage } from 'node:http';
import {
  FormExpected,
  MalformedForm,
  MalformedJson,
  PayloadTooLarge,
  RepeatedParameter,
  UnsupportedMediaType,
} from './errors.ts';

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
const formType = /^application\/x-www-form-urlencoded *(; *charset="?utf-8"? *)?$/i;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What stands in the way of reading a body as `type`: undefined where nothing does. */
function mismatch({ headers }: IncomingMessage, type: RegExp): string | undefined {
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return 'content encoding';
  return type.test(headers['content-type'] ?? '') ? undefined : 'content type';
}

/**
 * The JSON value of a request's body, at most 16 KiB. Strict about its bytes: a decoder that replaced what is not UTF-8
 * would make different passwords one.
 * @throws UnsupportedMediaType, PayloadTooLarge, MalformedJson, ClientGone
 */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const reason = mismatch(req, jsonType);
  if (reason !== undefined) throw new UnsupportedMediaType(reason);
  const bytes = await readBytes(req);
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw new MalformedJson('syntax');
  }
}

/** The parameters of a form, as its sender wrote them. */
export type Form = Readonly<Record<string, string>>;

/** @throws where a `%` has no two digits after it, and at what is not UTF-8 */
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
 * The parameters of a request's body as a browser sends a form, at most 16 KiB. RFC 6749 section 3.2: "Request and
 * response parameters MUST NOT be included more than once", or two readers could take two different values for it.
 * @throws FormExpected, PayloadTooLarge, MalformedForm, RepeatedParameter, ClientGone
 */
export async function readForm(req: IncomingMessage): Promise<Form> {
  const reason = mismatch(req, formType);
  if (reason !== undefined) throw new FormExpected(reason);
  const bytes = await readBytes(req);
  const form = new Map<string, string>();
  for (const [name, value] of malformedUnless(() => pairsOf(bytes))) {
    if (form.has(name)) throw new RepeatedParameter(name);
    form.set(name, value);
  }
  return Object.fromEntries(form);
}

function malformedUnless<Value>(read: () => Value): Value {
  try {
    return read();
  } catch {
    throw new MalformedForm('syntax');
  }
}
