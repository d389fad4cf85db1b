import type { IncomingMessage } from 'node:http';
import { isEncoded, parseMediaType, readBytes, utf8 } from './body.ts';
import { FormExpected, MalformedForm, RepeatedParameter } from './errors.ts';

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

interface ReceivedForm {
  form: Form;
  /** The names of the parameters that were sent more than once. The form has one of their values. */
  repeated: readonly string[];
}

/**
 * Reads a URL-encoded form of at most 16 KiB. A form in another charset than UTF-8 must contain only characters that are the same in
 * both. @throws FormExpected, PayloadTooLarge, MalformedForm, ClientDisconnected
 */
async function readForm(req: IncomingMessage): Promise<ReceivedForm> {
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

/**
 * Reads and validates a form, and keeps it in `context` for error pages. RFC 6749 section 3.2: "Request and response parameters MUST
 * NOT be included more than once". Otherwise two parsers could use two different values. Unknown parameters can repeat, such as
 * `resource` (RFC 8707 section 2). @throws like `readForm`, RepeatedParameter, and what `validate` throws
 */
export async function readFormBody(
  req: IncomingMessage,
  context: { form: Form | undefined },
  validate: (form: Form) => unknown,
): Promise<unknown> {
  const { form, repeated } = await readForm(req);
  context.form = form;
  const body = validate(form);
  const name = repeated.find((each) => Object.hasOwn(body ?? {}, each));
  if (name === undefined) return body;
  context.form = undefined; // an error page must not choose one of the values
  throw new RepeatedParameter(name);
}
