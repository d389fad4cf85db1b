import type { CallService } from './call.ts';
import { KeyturnError } from './errors.ts';

/** Where an app keeps its refresh token: the one secret that must outlive the page. */
export interface TokenStorage {
  get(): Awaitable<string | null | undefined>;
  /** Resolves when it is safely stored: the token before it is spent by then. */
  set(refreshToken: string): Awaitable<unknown>;
  remove(): Awaitable<unknown>;
}

type Awaitable<T> = T | Promise<T>;
type Answer = Record<string, unknown>;

/** Where the refresh token is, and how it gets to the service. `presented` is what proves that this client may use it. */
export interface Vault {
  /** Whether a login in another tab changes what is presented, whatever this page holds. */
  readonly isShared: boolean;
  /** undefined: nobody is signed in. @throws KeyturnError */
  read(): Promise<string | undefined>;
  present(path: '/refresh' | '/logout', presented: string, signal?: AbortSignal): Promise<Answer>;
  keep(answer: Answer): Promise<void>;
  /** After the service refused it; false where another one is there by now, and stays. */
  forget(presented: string): Promise<boolean>;
  /** For a sign-out: reads, and forgets without asking. */
  take(): Promise<string | undefined>;
}

const orStorageFailed = async <T>(use: () => Awaitable<T>): Promise<T> => {
  try {
    return await use();
  } catch (cause) {
    throw new KeyturnError('storage_failed', { cause });
  }
};

/** Token transport: through a storage that the app gives. The token is read anew each time, as other tabs change it. */
export function storedToken(storage: TokenStorage, call: CallService): Vault {
  const read = async () => (await orStorageFailed(() => storage.get())) || undefined;
  /** What cannot be removed is worth nothing, once the service has ended its session. */
  const removeIfPossible = () => orStorageFailed(() => storage.remove()).catch(() => {});
  return {
    isShared: false,
    read,
    present: (path, presented, signal) => call(path, { body: { refresh_token: presented }, signal }),
    async keep({ refresh_token: token }) {
      if (typeof token !== 'string') throw new KeyturnError('bad_answer');
      await orStorageFailed(() => storage.set(token));
    },
    async forget(presented) {
      const isTheSame = (await read()) === presented;
      if (isTheSame) await removeIfPossible();
      return isTheSame;
    },
    async take() {
      const presented = await read();
      if (presented !== undefined) await removeIfPossible();
      return presented;
    },
  };
}

/** Cookie transport: the browser has the refresh token, this has the CSRF token that belongs to it. */
export function cookie(call: CallService): Vault {
  let csrfToken: string | undefined;
  const fetchCsrfToken = async (signal?: AbortSignal) =>
    (csrfToken = String((await call('/csrf', { method: 'GET', signal }))['csrf_token']));
  const send = (path: string, token: string, signal?: AbortSignal) =>
    call(path, { headers: { 'X-CSRF-Token': token }, signal });
  return {
    isShared: true,
    async read() {
      try {
        return csrfToken ?? (await fetchCsrfToken());
      } catch (error) {
        if (error instanceof KeyturnError && error.code === 'invalid_refresh_token') return undefined;
        throw error;
      }
    },
    async present(path, presented, signal) {
      try {
        return await send(path, presented, signal);
      } catch (error) {
        if (!(error instanceof KeyturnError && error.code === 'csrf_failed')) throw error;
        // Another tab has logged in: the cookie is of another session, and wants another token.
        return send(path, await fetchCsrfToken(signal), signal);
      }
    },
    async keep({ csrf_token: token }) {
      if (typeof token === 'string') csrfToken = token;
    },
    async forget() {
      csrfToken = undefined;
      return true;
    },
    async take() {
      const presented = csrfToken ?? '';
      csrfToken = undefined;
      return presented;
    },
  };
}
