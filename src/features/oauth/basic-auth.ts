import { decodeFormText } from '../../http/form.ts';

export interface BasicCredentials {
  id: string;
  secret: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const isBasic = (authorization: string): boolean => /^Basic( |$)/i.test(authorization);

/**
 * Parses a client's id and secret from `Authorization: Basic` (RFC 7617). RFC 6749 section 2.3.1 form-encodes each before joining
 * them. Undefined if the header is malformed.
 */
export function parseBasic(authorization: string): BasicCredentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z\d+/]+={0,2}) *$/i.exec(authorization) ?? [];
  if (encoded === undefined) return undefined;
  try {
    const text = utf8.decode(Buffer.from(encoded, 'base64'));
    const colon = text.indexOf(':');
    if (colon < 0) return undefined;
    return { id: decodeFormText(text.slice(0, colon)), secret: decodeFormText(text.slice(colon + 1)) };
  } catch {
    return undefined;
  }
}
