import type { IncomingMessage } from 'node:http';
import { isEncoded, parseMediaType, readBytes, utf8 } from './body.ts';
import { FormExpected, MalformedForm } from './errors.ts';

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

function parsePairs(bytes: Buffer): [name: string, value: string][] {
  try {
    return pairsOf(bytes);
  } catch {
    throw new MalformedForm('syntax');
  }
}

/** Whether ASCII characters are the same bytes in this charset. */
function extendsAscii(charset: string): boolean {
  try {
    return !/^(utf-16|iso-2022)/.test(new TextDecoder(charset).encoding);
  } catch {
    return false;
  }
}

const isAscii = (bytes: Buffer): boolean =>
  bytes.every((byte) => byte < 0x80) && !/%[89a-f]/i.test(bytes.toString('latin1'));

/** A form that was read. */
export interface ReceivedForm {
  form: Form;
  /** The names of the parameters that were sent more than once. The form has one of their values. */
  repeated: readonly string[];
}

/**
 * Reads a URL-encoded form of at most 16 KiB. A form in another charset than UTF-8 must contain only characters that are the same in
 * both. @throws FormExpected, PayloadTooLarge, MalformedForm, ClientDisconnected
 */
export async function readForm(req: IncomingMessage): Promise<ReceivedForm> {
  if (isEncoded(req)) throw new FormExpected('content encoding');
  const type = parseMediaType(req.headers['content-type'] ?? '');
  if (type?.essence !== 'application/x-www-form-urlencoded') throw new FormExpected('content type');
  if (type.charset !== undefined && !extendsAscii(type.charset)) throw new FormExpected('charset');
  const bytes = await readBytes(req);
  if (type.charset !== undefined && !isAscii(bytes)) throw new FormExpected('charset');
  const form = new Map<string, string>();
  const repeated: string[] = [];
  for (const [name, value] of parsePairs(bytes)) {
    if (form.has(name)) repeated.push(name);
    // RFC 6749 section 3.2: parameters without a value are treated as omitted, so they must not hide one that has a value.
    if (value !== '' || !form.has(name)) form.set(name, value);
  }
  return { form: Object.fromEntries(form), repeated };
}
