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

/** Runs code that throws only if the app passed invalid arguments. */
function prepare<T>(build: () => T): T {
  try {
    return build();
  } catch (cause) {
    throw new KeyturnError('invalid_request', { detail: 'The arguments of `fetch` are invalid.', cause });
  }
}

/** Rejects as soon as the app aborts the call, also while it waits for a refresh. Passes only `KeyturnError`s on. */
function settle<T>(pending: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  const abortError = () => {
    const cause: unknown = signal?.reason;
    return new KeyturnError(cause instanceof Error && cause.name === 'TimeoutError' ? 'timeout' : 'aborted', { cause });
  };
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortError());
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    pending
      .then(resolve, (error: unknown) => {
        if (error instanceof KeyturnError) reject(error);
        else reject(signal?.aborted ? abortError() : new KeyturnError('network', { cause: error }));
      })
      .finally(() => signal?.removeEventListener('abort', abort));
  });
}

/**
 * Makes a `fetch` that adds the access token, and on a 401 retries once with another token. It rejects only with `KeyturnError`s, and
 * a failed request never signs the user out.
 */
export function makeAuthorizedFetch({ fetch, baseUrl, apis, accessToken, rejectToken }: AuthorizedFetchDeps): Fetch {
  // Compares strings: a URL that only matches after parsing gets no token.
  const isAllowed = (url: string) => [baseUrl, ...apis].some((base) => url === base || url.startsWith(`${base}/`));
  return async (input, init) => {
    const options = init ?? {};
    const { request, url } = prepare(() => {
      const request = typeof input === 'object' && 'clone' in input ? input : undefined;
      const target = typeof input === 'string' ? input : 'href' in input ? input.href : input.url;
      return { request, url: target.startsWith('/') ? `${baseUrl}${target}` : target };
    });
    if (!isAllowed(url))
      throw new KeyturnError('url_not_allowed', { detail: 'The URL does not start with `baseUrl` or one of `apis`.' });
    prepare(() => {
      if (typeof options !== 'object') throw new TypeError('The options are not an object.');
      // Only checks them. Neither reads nor locks a stream.
      return new Request(url, { ...options, method: options.method ?? request?.method ?? 'GET' });
    });
    const signal = options.signal === undefined ? request?.signal : options.signal;
    const sendWith = (token: string) => {
      const { target, headers } = prepare(() => ({
        target: request ? request.clone() : url,
        headers: new Headers(options.headers ?? request?.headers),
      }));
      headers.set('authorization', `Bearer ${token}`);
      const send = async () => fetch(target, { ...options, headers });
      return settle(send(), signal);
    };
    const token = await settle(accessToken(), signal);
    const response = await sendWith(token);
    if (response.status !== 401 || !rejectToken(token) || isStream(options.body)) return response;
    response.body?.cancel().catch(() => {});
    return sendWith(await settle(accessToken(), signal));
  };
}
