// A browser as far as cookies go: it keeps what it is given, sends it back, and says where its page came from.
import type { Response } from 'supertest';
import { type CallOptions, freshEmail, password, type TestApp } from '../harness.ts';

export const spa = 'https://app.example.com';
export const cookieName = '__Host-refresh_token';
export const httpsSettings = { ISSUER: 'https://auth.example.com', CORS_ORIGINS: spa } as const;

export interface SetCookie {
  value: string;
  /** The attributes, in lower case, by name. */
  attributes: Record<string, string>;
}

/** The one cookie that an answer sets; undefined where it sets none. */
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
  cookie: string;
  csrfToken: string;
}

/** A page of the app that has just registered with the cookie. */
export async function openPage(app: TestApp): Promise<Page> {
  const email = freshEmail();
  const body = { email, password, display_name: 'Ada Lovelace', transport: 'cookie' };
  const answer = await app.call('post', '/register', { body, headers: { origin: spa } });
  const { csrf_token: csrfToken } = answer.body as { csrf_token: string };
  return { email, cookie: setCookieOf(answer)?.value ?? '', csrfToken };
}

/** What a page sends: its origin, its cookie, its CSRF token; undefined leaves one out. */
export function from(page: Page, changed: Record<string, string | undefined> = {}): CallOptions {
  const headers = { origin: spa, cookie: `${cookieName}=${page.cookie}`, 'x-csrf-token': page.csrfToken, ...changed };
  const present = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { headers: Object.fromEntries(present) };
}
