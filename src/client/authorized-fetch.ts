import type { Fetch } from './call.ts';
import { KeyturnError } from './errors.ts';

export interface AuthorizedFetchOptions {
  send: Fetch;
  baseUrl: string;
  apis: readonly string[];
  accessToken: () => Promise<string>;
  /** Tells that a service refused this token; whether another one is worth a try. */
  refused: (token: string) => boolean;
}

/** A stream can be sent once. */
const isStream = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body);

/** `fetch` with the access token; on a 401 it gets another token and repeats, once. */
export function makeAuthorizedFetch({ send, baseUrl, apis, accessToken, refused }: AuthorizedFetchOptions): Fetch {
  // By the letter: whatever needs a parser to be recognized gets no token.
  const mayHaveToken = (url: string) => [baseUrl, ...apis].some((base) => url === base || url.startsWith(`${base}/`));
  return async (input, init = {}) => {
    const request = typeof input === 'object' && 'clone' in input ? input : undefined;
    const asked = typeof input === 'string' ? input : 'href' in input ? input.href : input.url;
    const url = asked.startsWith('/') ? `${baseUrl}${asked}` : asked;
    if (!mayHaveToken(url))
      throw new KeyturnError('foreign_address', { detail: 'This address is not in `apis`: it gets no access token.' });
    const sendWith = (token: string) => {
      const headers = new Headers(init.headers ?? request?.headers);
      headers.set('authorization', `Bearer ${token}`);
      return send(request ? request.clone() : url, { ...init, headers });
    };
    const token = await accessToken();
    const answer = await sendWith(token);
    if (answer.status !== 401 || !refused(token) || isStream(init.body)) return answer;
    void answer.body?.cancel();
    return sendWith(await accessToken());
  };
}
