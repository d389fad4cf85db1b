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

/** The cookies of a name that a response sets, in order. @throws if it sets one of another name */
export function setCookiesOf({ headers }: Response, name = cookieName): SetCookie[] {
  const all = (headers['set-cookie'] ?? []) as unknown as string[];
  if (!all.every((each) => each.startsWith(`${name}=`))) throw new Error(`other cookies: ${all.join(' | ')}`);
  return all.map((line) => {
    const [pair = '', ...attributes] = line.split('; ');
    const entries = attributes.map((attribute) => attribute.split('='));
    return {
      value: pair.slice(name.length + 1),
      attributes: Object.fromEntries(entries.map(([key = '', value = '']) => [key.toLowerCase(), value])),
    };
  });
}

/**
 * The cookie that a response sets; undefined if it sets none. With SameSite=None, the deletion of the other variant precedes it.
 * @throws if there are other cookies
 */
export function setCookieOf(response: Response, name = cookieName): SetCookie | undefined {
  const cookies = setCookiesOf(response, name);
  const cookie = cookies.at(-1);
  const expected = cookie?.attributes['samesite'] === 'None' ? 2 : 1;
  if (cookie && cookies.length !== expected) throw new Error(`${cookies.length} cookies instead of ${expected}`);
  return cookie;
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
