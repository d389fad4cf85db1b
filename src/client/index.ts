// keyturn/client: what a client of the service must do, as code. It needs `fetch`, `AbortController` and `setTimeout`, so
// it runs in browsers, React Native and Node.
import { makeAuthorizedFetch } from './authorized-fetch.ts';
import { type Fetch, makeCallService } from './call.ts';
import { KeyturnError, type SignedOutReason } from './errors.ts';
import { persist } from './persist.ts';
import type { Session } from './held.ts';
import { makeSession } from './session.ts';
import { cookie, storedToken, type TokenStorage } from './vault.ts';

export { type Fault, KeyturnError, type OwnCode, type SignedOutReason } from './errors.ts';
export type { Session } from './held.ts';
export type { TokenStorage } from './vault.ts';

interface CommonOptions {
  /** Where the service is, such as `https://auth.example.com`. */
  baseUrl: string;
  /** Base URLs of your APIs, which get the access token, too. No other address does. */
  apis?: readonly string[];
  /** Somebody is signed in, or somebody else: after a login, a reload, or a login in another tab. */
  onSignedIn?: (session: Session) => void;
  /** Nobody is signed in any more. */
  onSignedOut?: (reason: SignedOutReason) => void;
  /** For one try; at most 15 s, so that a second one still is inside the service's leeway of 30 s. */
  timeoutMs?: number;
  /** How long `accessToken`, `fetch` and `logout` go on trying while the service cannot be reached. */
  patienceMs?: number;
  /**
   * What tabs have in common that share a storage or a cookie: they take turns, and tell one another. In a page the
   * `baseUrl`; elsewhere each client is alone.
   */
  tabsName?: string;
  fetch?: Fetch;
}

export type ClientOptions = CommonOptions &
  (
    | { /** The refresh token travels in bodies, and the app keeps it. */ transport: 'body'; storage: TokenStorage }
    | { /** The browser keeps it, where no script can read it. */ transport: 'cookie' }
  );

export interface Credentials {
  email: string;
  password: string;
  /** Narrows what the access token may do; elevated scopes must be named. */
  scope?: string;
}

export interface Registration {
  email: string;
  password: string;
  display_name: string;
}

/** An account, as `GET /me` answers it. */
export interface User {
  id: string;
  email: string;
  email_verified: boolean;
  display_name: string;
  roles: string[];
  scopes: string[];
  mfa_enabled: boolean;
  created_at: string;
  updated_at: string;
}

/** Every promise rejects with a `KeyturnError`. */
export interface Client {
  /** Makes an account and signs it in. */
  register(registration: Registration): Promise<User>;
  login(credentials: Credentials): Promise<Session>;
  /** Who was signed in before the page was loaded; null for nobody. */
  resume(): Promise<Session | null>;
  /** Forgets the session at once. Rejects where the service could not be told: then the session lives on there. */
  logout(): Promise<void>;
  /** Ends every session of the user, on every device. Where it rejects, none has ended. */
  logoutAll(): Promise<void>;
  /** One that is good for a call now, refreshed where need be. Do not keep it. */
  accessToken(): Promise<string>;
  /**
   * `fetch` with the access token, for the service (a path such as `/me`) and for `apis`. After a 401 it refreshes and
   * repeats, once, unless the body is a stream.
   */
  fetch: Fetch;
  /** As far as this page knows. */
  readonly session: Session | null;
  /** Stops to listen to other tabs. */
  close(): void;
}

const longestTimeoutMs = 15_000;

/** @throws RangeError for a time-out that would outlive the service's leeway */
export function createClient(options: ClientOptions): Client {
  const { timeoutMs = 8000, patienceMs = 30_000, apis = [], transport, onSignedIn, onSignedOut } = options;
  if (!(timeoutMs > 0 && timeoutMs <= longestTimeoutMs)) throw new RangeError('timeoutMs must be from 1 to 15000');
  const withoutSlash = (url: string) => url.replace(/\/+$/, '');
  const baseUrl = withoutSlash(options.baseUrl);
  const { fetch: send = (input, init) => globalThis.fetch(input, init) } = options;
  const credentials = transport === 'cookie' ? 'include' : 'omit';
  const call = makeCallService({ baseUrl, send, credentials, timeoutMs });
  const session = makeSession({
    call,
    vault: transport === 'cookie' ? cookie(call) : storedToken(options.storage, call),
    tabsName: options.tabsName ?? ('document' in globalThis ? baseUrl : undefined),
    patienceMs,
    onSignedIn: (signedIn) => onSignedIn?.(signedIn),
    onSignedOut: (reason) => onSignedOut?.(reason),
  });
  const { accessToken, refused, current } = session;
  const fetch = makeAuthorizedFetch({ send, baseUrl, apis: apis.map(withoutSlash), accessToken, refused });
  const callAuthorized = makeCallService({ baseUrl, send: fetch, credentials, timeoutMs });

  return {
    accessToken,
    fetch,
    register: async (registration) => (await session.signIn('/register', { ...registration, transport })).user as User,
    login: async (login) => (await session.signIn('/login', { ...login, transport })).session,
    async resume() {
      try {
        await accessToken();
        return current();
      } catch (error) {
        if (error instanceof KeyturnError && error.code === 'signed_out') return null;
        throw error;
      }
    },
    logout: () => session.signOut(),
    async logoutAll() {
      await persist(() => callAuthorized('/logout/all', {}), { patienceMs });
      await session.signOut({ isToldAlready: true });
    },
    get session() {
      return current();
    },
    close: session.close,
  };
}
