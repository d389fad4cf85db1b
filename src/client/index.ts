// keyturn/client keeps the users of an app signed in. It needs only `fetch`, `AbortController` and `setTimeout`, so it
// runs in browsers, React Native and Node.
import type { Session } from './access-token.ts';
import { makeAuthorizedFetch } from './authorized-fetch.ts';
import { hasCode, type SignedOutReason } from './errors.ts';
import { makeLogoutAll, makeRegister, type Registration, type User } from './repeatable.ts';
import { type Fetch, makeSendRequest } from './request.ts';
import { makeSession } from './session.ts';
import { makeBodyTransport, makeCookieTransport, type TokenStorage } from './token-transport.ts';

export type { Registration, User } from './repeatable.ts';
export type { Session } from './access-token.ts';
export { type ClientErrorCode, type FieldError, KeyturnError, type SignedOutReason } from './errors.ts';
export type { TokenStorage } from './token-transport.ts';

interface CommonOptions {
  /** The URL of the service, such as `https://auth.example.com`. */
  baseUrl: string;
  /** Base URLs of your APIs. `fetch` sends the access token only to these and to the service. */
  apis?: readonly string[];
  /** Called when a user signs in or the signed-in user changes: after a login or a reload, in this tab or another. */
  onSignedIn?: (session: Session) => void;
  /** Called when the user is signed out. */
  onSignedOut?: (reason: SignedOutReason) => void;
  /**
   * Time limit of one attempt, 8 seconds by default. The maximum of 15 seconds leaves time for a second attempt within
   * the service's grace period of 30 seconds.
   */
  timeoutMs?: number;
  /**
   * How long `accessToken`, `fetch` and `logout` retry while the service is unreachable. 30 seconds by default. A client
   * waits for a tab that does not respond for half of this time, but not longer than `timeoutMs`.
   */
  retryTimeoutMs?: number;
  /**
   * Names the lock and the broadcast channel of the tabs that share a storage or a cookie. Defaults to `baseUrl` in a
   * page; without a document, clients are not synchronized.
   */
  channelName?: string;
  fetch?: Fetch;
}

export type ClientOptions = CommonOptions &
  (
    | {
        /** The app stores the refresh token and sends it in request bodies. */ transport: 'body';
        storage: TokenStorage;
      }
    | { /** The browser stores the refresh token in a cookie that scripts cannot read. */ transport: 'cookie' }
  );

export interface Credentials {
  email: string;
  password: string;
  /** Limits the scopes of the session. Elevated scopes are granted only if they are listed here. */
  scope?: string;
}

/** Every promise rejects with a `KeyturnError`. */
export interface Client {
  /**
   * Creates an account and signs the user in. After a lost response, call it again with the same address and password: if the first
   * call created the account, this one logs in.
   */
  register(registration: Registration): Promise<User>;
  login(credentials: Credentials): Promise<Session>;
  /** Restores the session after a reload or restart. Returns null if no user is signed in. */
  resume(): Promise<Session | null>;
  /** Signs out here immediately. Rejects if the service is unreachable: the session then still exists there. */
  logout(): Promise<void>;
  /**
   * Revokes every session of the user, on all devices. If it rejects, other sessions may still be open: the user repeats it, after
   * another login if the code is `signed_out`.
   */
  logoutAll(): Promise<void>;
  /** Returns a valid access token, after a refresh if necessary. Do not keep it. */
  accessToken(): Promise<string>;
  /**
   * Works like `fetch` and adds the access token. Takes a path of the service, such as `/me`, or a URL below `apis`.
   * After a 401 it refreshes and retries once, unless the body is a stream. It does not repeat a request whose response was lost.
   * Reading the body of the response can fail with the errors of `fetch`.
   */
  fetch: Fetch;
  /** The current session as this page knows it. */
  readonly session: Session | null;
  /** Stops listening to other tabs. */
  close(): void;
}

const maxTimeoutMs = 15_000;

/** For callers without types. */
function requireOptions(options: object): void {
  const { baseUrl, transport, storage, apis = [] } = (options ?? {}) as Partial<Record<string, unknown>>;
  if (typeof baseUrl !== 'string') throw new RangeError('baseUrl must be the URL of the service');
  if (transport !== 'body' && transport !== 'cookie') throw new RangeError('transport must be body or cookie');
  if (transport === 'body' && !storage) throw new RangeError('transport body requires a storage');
  if (!Array.isArray(apis) || !apis.every((api) => typeof api === 'string'))
    throw new RangeError('apis must be a list of URLs');
}

/** @throws RangeError if an option is invalid */
export function createClient(options: ClientOptions): Client {
  requireOptions(options);
  const { timeoutMs = 8000, retryTimeoutMs = 30_000, apis = [], transport, onSignedIn, onSignedOut } = options;
  if (!(timeoutMs > 0 && timeoutMs <= maxTimeoutMs)) throw new RangeError('timeoutMs must be from 1 to 15000');
  const withoutSlash = (url: string) => url.replace(/\/+$/, '');
  const baseUrl = withoutSlash(options.baseUrl);
  const { fetch: plainFetch = (input, init) => globalThis.fetch(input, init) } = options;
  const credentials = transport === 'cookie' ? 'include' : 'omit';
  const sendRequest = makeSendRequest({ baseUrl, fetch: plainFetch, credentials, timeoutMs });
  const session = makeSession({
    sendRequest,
    transport:
      transport === 'cookie' ? makeCookieTransport(sendRequest) : makeBodyTransport(options.storage, sendRequest),
    channelName: options.channelName ?? ('document' in globalThis ? baseUrl : undefined),
    timeoutMs,
    retryTimeoutMs,
    onSignedIn: (signedIn) => onSignedIn?.(signedIn),
    onSignedOut: (reason) => onSignedOut?.(reason),
  });
  const { accessToken, rejectToken } = session;
  const allowedApis = apis.map(withoutSlash);
  const fetch = makeAuthorizedFetch({ fetch: plainFetch, baseUrl, apis: allowedApis, accessToken, rejectToken });
  const sendAuthorized = makeSendRequest({ baseUrl, fetch, credentials, timeoutMs });

  return {
    accessToken,
    fetch,
    register: makeRegister({ session, sendAuthorized, transport }),
    login: async (login) => (await session.signIn('/login', { ...login, transport })).session,
    async resume() {
      try {
        await accessToken();
        return session.session();
      } catch (error) {
        if (hasCode(error, 'signed_out')) return null;
        throw error;
      }
    },
    logout: () => session.signOut(),
    logoutAll: makeLogoutAll({ session, sendAuthorized, retryTimeoutMs }),
    get session() {
      return session.session();
    },
    close: session.close,
  };
}
