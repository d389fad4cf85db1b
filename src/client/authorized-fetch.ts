import { KeyturnError } from './errors.ts';
import type { Fetch } from './request.ts';

export interface AuthorizedFetchDeps {
  fetch: Fetch;
  baseUrl: string;
  apis: readonly string[];
  accessToken: () => Promise<string>;
  /** Marks a token as rejected. Returns whether a retry with another token is worthwhile. */
  rejectToken: (token: string) => boolean;
}

/** A stream cannot be sent twice. */
const isStream = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body);

/** Makes a `fetch` that adds the access token, and on a 401 retries once with another token. */
export function makeAuthorizedFetch({ fetch, baseUrl, apis, accessToken, rejectToken }: AuthorizedFetchDeps): Fetch {
  // Compares strings: a URL that only matches after parsing gets no token.
  const isAllowed = (url: string) => [baseUrl, ...apis].some((base) => url === base || url.startsWith(`${base}/`));
  return async (input, init = {}) => {
    const request = typeof input === 'object' && 'clone' in input ? input : undefined;
    const target = typeof input === 'string' ? input : 'href' in input ? input.href : input.url;
    const url = target.startsWith('/') ? `${baseUrl}${target}` : target;
    if (!isAllowed(url))
      throw new KeyturnError('url_not_allowed', { detail: 'The URL does not start with `baseUrl` or one of `apis`.' });
    const sendWith = (token: string) => {
      const headers = new Headers(init.headers ?? request?.headers);
      headers.set('authorization', `Bearer ${token}`);
      return fetch(request ? request.clone() : url, { ...init, headers });
    };
    const token = await accessToken();
    const response = await sendWith(token);
    if (response.status !== 401 || !rejectToken(token) || isStream(init.body)) return response;
    void response.body?.cancel();
    return sendWith(await accessToken());
  };
}
