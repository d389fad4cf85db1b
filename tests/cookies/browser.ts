// The requests of a browser page with the refresh token cookie.
import type { Response } from 'supertest';
import { type CallOptions, freshEmail, password, type TestApp } from '../harness.ts';

export const spa = 'https://app.example.com';
export const cookieName = '__Host-refresh_token';
export const httpsSettings = { ISSUER: 'https://auth.example.com', CORS_ORIGINS: spa } as const;

export interface SetCookie {
  value: string;
  /** Attributes by lower-case name. */
  attributes: Record<string, string>;
}

/** The cookie that a response sets; undefined if it sets none. @throws if it sets more than one */
export function setCookieOf({ headers }: Response, name = cookieName): SetCookie | undefined {
  const all = (headers['set-cookie'] ?? []) as unknown as string[];
  const [line, ...others] = all.filter((each) => each.startsWith(`${name}=`));
  if (others.length > 0 || all.length > 1) throw new Error(`more than one cookie: ${all.join(' | ')}`);
  if (line === undefined) return undefined;
  const [pair = '', ...attributes] = line.split('; ');
  const entries = attributes.map((attribute) => attribute.split('='));
  return {
    value: pair.slice(name.length + 1),
    attributes: Object.fromEntries(entries.map(([key = '', value = '']) => [key.toLowerCase(), value])),
  };
}

export interface Page {
  email: string;
  sessionId: string;
  cookie: string;
  csrfToken: string;
}

/** Registers an account from a page of the app, with the cookie transport. */
export async function openPage(app: TestApp): Promise<Page> {
  const email = freshEmail();
  const body = { email, password, display_name: 'Ada Lovelace', transport: 'cookie' };
  const response = await app.call('post', '/register', { body, headers: { origin: spa } });
  const { csrf_token: csrfToken, session_id: sessionId } = response.body as { csrf_token: string; session_id: string };
  return { email, sessionId, cookie: setCookieOf(response)?.value ?? '', csrfToken };
}

/** The headers of a page: origin, cookie and CSRF token. Undefined omits a header. */
export function from(page: Page, changed: Record<string, string | undefined> = {}): CallOptions {
  const headers = { origin: spa, cookie: `${cookieName}=${page.cookie}`, 'x-csrf-token': page.csrfToken, ...changed };
  const present = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { headers: Object.fromEntries(present) };
}
