import { hasCode, KeyturnError } from './errors.ts';
import type { ResponseBody, SendRequest } from './request.ts';

/** Where the app stores its refresh token, the one secret that must survive a restart. */
export interface TokenStorage {
  get(): Awaitable<string | null | undefined>;
  /** Must resolve only after the token is stored: the service has already replaced the previous one. */
  set(refreshToken: string): Awaitable<unknown>;
  remove(): Awaitable<unknown>;
}

type Awaitable<T> = T | Promise<T>;

/**
 * How the refresh token is kept and sent. The credential is what the client itself sends: the refresh token, or the
 * CSRF token that belongs to the cookie.
 */
export interface TokenTransport {
  /** Whether a login in another tab immediately replaces the refresh token of this client. */
  readonly sharesCookie: boolean;
  /** Returns undefined if no user is signed in. @throws KeyturnError */
  read(): Promise<string | undefined>;
  send(path: '/refresh' | '/logout', credential: string, signal?: AbortSignal): Promise<ResponseBody>;
  /**
   * Stores the credential of a login or refresh response. After a refresh with the credential `sent`, returns false and stores
   * nothing if another tab has replaced or removed it: the response is then older than what is stored.
   */
  store(body: ResponseBody, sent?: string): Promise<boolean>;
  /** Removes a rejected credential. Returns false, and removes nothing, if another one has replaced it. */
  removeRejected(credential: string): Promise<boolean>;
  /** Returns the credential and removes it, without a request to the service. */
  take(): Promise<string | undefined>;
}

const callStorage = async <T>(operation: () => Awaitable<T>): Promise<T> => {
  try {
    return await operation();
  } catch (cause) {
    throw new KeyturnError('storage_failed', { cause });
  }
};

/** Sends the refresh token in request bodies. Reads the storage every time, because other tabs write to it. */
export function makeBodyTransport(storage: TokenStorage, sendRequest: SendRequest): TokenTransport {
  const read = async () => (await callStorage(() => storage.get())) || undefined;
  /** Ignores errors: the service no longer accepts the token. */
  const tryRemove = () => callStorage(() => storage.remove()).catch(() => {});
  return {
    sharesCookie: false,
    read,
    send: (path, credential, signal) => sendRequest(path, { body: { refresh_token: credential }, signal }),
    async store({ refresh_token: token }, sent) {
      if (typeof token !== 'string') throw new KeyturnError('invalid_response');
      const stored = sent === undefined ? undefined : await read();
      if (sent !== undefined && stored !== sent && stored !== token) return false;
      await callStorage(() => storage.set(token));
      return true;
    },
    async removeRejected(credential) {
      const isUnchanged = (await read()) === credential;
      if (isUnchanged) await tryRemove();
      return isUnchanged;
    },
    async take() {
      const credential = await read();
      if (credential !== undefined) await tryRemove();
      return credential;
    },
  };
}

/** The browser sends the refresh token in a cookie. This client sends the CSRF token that belongs to the cookie. */
export function makeCookieTransport(sendRequest: SendRequest): TokenTransport {
  let csrfToken: string | undefined;
  const fetchCsrfToken = async (signal?: AbortSignal): Promise<string> => {
    const { csrf_token: token } = await sendRequest('/csrf', { method: 'GET', signal });
    if (typeof token !== 'string') throw new KeyturnError('invalid_response');
    return (csrfToken = token);
  };
  const sendWith = (token: string, path: string, signal?: AbortSignal) =>
    sendRequest(path, { headers: { 'X-CSRF-Token': token }, signal });
  return {
    sharesCookie: true,
    async read() {
      try {
        return csrfToken ?? (await fetchCsrfToken());
      } catch (error) {
        if (hasCode(error, 'invalid_refresh_token')) return undefined;
        throw error;
      }
    },
    async send(path, credential, signal) {
      try {
        return await sendWith(credential, path, signal);
      } catch (error) {
        if (!hasCode(error, 'csrf_failed')) throw error;
        // After a login in another tab, the cookie belongs to another session with another CSRF token.
        return sendWith(await fetchCsrfToken(signal), path, signal);
      }
    },
    async store({ csrf_token: token }) {
      if (typeof token === 'string') csrfToken = token;
      return true;
    },
    async removeRejected() {
      csrfToken = undefined;
      return true;
    },
    async take() {
      const credential = csrfToken ?? '';
      csrfToken = undefined;
      return credential;
    },
  };
}
