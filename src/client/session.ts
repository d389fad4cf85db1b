import {
  type AccessToken,
  isFresh,
  isUsable,
  isWithin,
  parseAccessToken,
  type Session,
  sessionOf,
} from './access-token.ts';
import {
  hasCode,
  KeyturnError,
  signedOutError,
  type SignedOutReason,
  throwIfAborted,
  withRetryAfter,
} from './errors.ts';
import type { ResponseBody, SendRequest } from './request.ts';
import { retry } from './retry.ts';
import { makeTabSync, type TabMessage } from './tab-sync.ts';
import type { TokenTransport } from './token-transport.ts';

export interface SessionDeps {
  sendRequest: SendRequest;
  transport: TokenTransport;
  channelName: string | undefined;
  timeoutMs: number;
  retryTimeoutMs: number;
  onSignedIn: (session: Session) => void;
  onSignedOut: (reason: SignedOutReason) => void;
}

/** Limits refreshes after a 401: if a new token does not help, the 401 has another reason. */
const minForcedRefreshIntervalMs = 30_000;

/** Holds the state of one session: its access token, how to refresh it, and why the user is signed out. */
export function makeSession(deps: SessionDeps) {
  const { sendRequest, transport, channelName, timeoutMs, retryTimeoutMs, onSignedIn, onSignedOut } = deps;
  let current: AccessToken | undefined;
  /** Undefined while a user is signed in, and until the client knows whether one is. */
  let signedOutReason: SignedOutReason | undefined;
  /** The session that was last reported to the app. */
  let announcedId: string | undefined;
  let refreshing: Promise<AccessToken> | undefined;
  let lastForcedRefreshAtMs = -Infinity;
  /** The last error with a Retry-After. */
  let throttled: { sinceMs: number; error: KeyturnError } | undefined;
  /** Aborted by a sign-out, so that late responses to earlier requests are discarded. */
  let lifetime = new AbortController();

  const endSession = (reason: SignedOutReason, { alwaysAnnounce = false } = {}): void => {
    if (alwaysAnnounce || announcedId !== undefined) queueMicrotask(() => onSignedOut(reason));
    current = announcedId = undefined;
    signedOutReason = reason;
    refreshing = throttled = undefined;
    lifetime.abort();
    lifetime = new AbortController();
  };

  const receive = (message: TabMessage): void => {
    if (message.kind === 'signed_in') {
      if (signedOutReason === undefined) return;
      signedOutReason = undefined; // the refresh below finds out which user signed in
      accessToken().catch(() => {});
    } else if (current && current.sessionId === message.sessionId) {
      if (message.kind === 'signed_out') endSession(message.reason);
      else if (message.accessToken.requestedAtMs > current.requestedAtMs) current = message.accessToken;
    }
  };
  // A live tab needs one request. The other half of the time remains for the request of this tab.
  const lockTimeoutMs = Math.min(timeoutMs, retryTimeoutMs / 2);
  const tabs = makeTabSync({ channelName, lockTimeoutMs, onMessage: receive });

  /** Stores the refresh token before the access token is used, so that a crash cannot lose it. `sent`: of a refresh. */
  const accept = async (body: ResponseBody, requestedAtMs: number, signal: AbortSignal, sent?: string) => {
    const received = parseAccessToken(body, requestedAtMs);
    const isStored = await transport.store(body, sent);
    if (!isStored) throw new KeyturnError('superseded'); // a newer token is stored: try again with it
    throwIfAborted(signal);
    current = received;
    signedOutReason = throttled = undefined;
    if (announcedId !== received.sessionId) queueMicrotask(() => onSignedIn(sessionOf(received)));
    announcedId = received.sessionId;
    return received;
  };

  /** Ends the session if the service rejected the refresh token; otherwise only throws. */
  const handleRefreshError = async (error: unknown, credential: string, signal: AbortSignal): Promise<never> => {
    if (!(error instanceof KeyturnError)) throw error;
    const reason = error.reason ?? 'invalid';
    if (error.retryAfterSeconds > 0) throttled = { sinceMs: Date.now(), error };
    if (error.status !== 401 || error.code !== 'invalid_refresh_token') throw error;
    const isRemoved = await transport.removeRejected(credential);
    throwIfAborted(signal);
    if (!isRemoved) throw new KeyturnError('superseded'); // a newer token is stored: try again with it
    if (announcedId !== undefined) tabs.broadcast({ kind: 'signed_out', sessionId: announcedId, reason });
    endSession(reason, { alwaysAnnounce: true });
    throw signedOutError(reason);
  };

  const attemptRefresh = async (signal: AbortSignal): Promise<AccessToken> => {
    throwIfAborted(signal);
    if (current && isFresh(current)) return current; // another tab has refreshed
    const requestedAtMs = Date.now();
    if (throttled && isWithin(throttled.sinceMs, throttled.error.retryAfterSeconds * 1000)) {
      const { sinceMs, error } = throttled;
      throw withRetryAfter(error, error.retryAfterSeconds - (requestedAtMs - sinceMs) / 1000);
    }
    const credential = await transport.read();
    throwIfAborted(signal);
    if (credential === undefined) {
      endSession('logged_out');
      throw signedOutError('logged_out');
    }
    try {
      const response = await transport.send('/refresh', credential, signal);
      const received = await accept(response, requestedAtMs, signal, credential);
      tabs.broadcast({ kind: 'refreshed', sessionId: received.sessionId, accessToken: received });
      return received;
    } catch (error) {
      return handleRefreshError(error, credential, signal);
    }
  };

  /** Concurrent callers share one refresh. */
  const refresh = (): Promise<AccessToken> => {
    if (refreshing) return refreshing;
    const { signal } = lifetime;
    const attempt = () => tabs.runExclusively(() => attemptRefresh(signal));
    const started = retry(attempt, { retryTimeoutMs, signal }).finally(() => {
      if (refreshing === started) refreshing = undefined;
    });
    refreshing = started;
    return started;
  };

  async function accessToken(): Promise<string> {
    for (;;) {
      if (signedOutReason !== undefined) throw signedOutError(signedOutReason);
      if (current && isFresh(current)) return current.token;
      const refreshed = refresh();
      if (current && isUsable(current)) {
        refreshed.catch(() => {}); // during an outage the token stays usable until it expires
        return current.token;
      }
      try {
        return (await refreshed).token;
      } catch (error) {
        if (!hasCode(error, 'superseded')) throw error;
      }
    }
  }

  return {
    accessToken,
    session: (): Session | null => (current ? sessionOf(current) : null),
    close: () => tabs.close(),

    /** Marks a token as rejected by a service. Returns whether a retry with another token is worthwhile. */
    rejectToken: (token: string): boolean => {
      if (current?.token !== token || current.usableForMs === 0) return true;
      if (isWithin(lastForcedRefreshAtMs, minForcedRefreshIntervalMs)) return false;
      lastForcedRefreshAtMs = Date.now();
      current = { ...current, refreshAfterMs: 0, usableForMs: 0 };
      return true;
    },

    /** Logs in or registers. If the request fails, the previous user stays signed in. */
    signIn(path: '/login' | '/register', body: object): Promise<{ session: Session; user: unknown }> {
      const { signal } = lifetime;
      return tabs.runExclusively(async () => {
        throwIfAborted(signal);
        const requestedAtMs = Date.now();
        // With this header the service also revokes the session that the login replaces.
        const headers: Record<string, string> = current ? { authorization: `Bearer ${current.token}` } : {};
        const response = await sendRequest(path, { body, headers });
        const session = sessionOf(await accept(response, requestedAtMs, signal));
        tabs.broadcast({ kind: 'signed_in' });
        return { session, user: response['user'] };
      });
    },

    /** Signs out here immediately, then revokes the session at the service unless it is already revoked. */
    async signOut({ isRevoked = false } = {}): Promise<void> {
      if (announcedId !== undefined)
        tabs.broadcast({ kind: 'signed_out', sessionId: announcedId, reason: 'logged_out' });
      endSession('logged_out');
      const credential = await tabs.runInOrder(() => transport.take());
      if (credential === undefined || isRevoked) return;
      const revoke = async () => {
        // If a user has logged in since, the shared cookie is theirs, and that login has revoked this session.
        if (!(transport.sharesCookie && current)) await transport.send('/logout', credential);
      };
      await retry(() => tabs.runExclusively(revoke), { retryTimeoutMs });
    },
  };
}
