import type { CallService } from './call.ts';
import { KeyturnError, type SignedOutReason } from './errors.ts';
import { type Held, isFresh, isUsable, isWithin, readHeld, type Session, sessionOf } from './held.ts';
import { persist } from './persist.ts';
import { openTabs } from './tabs.ts';
import type { Vault } from './vault.ts';

export interface SessionOptions {
  call: CallService;
  vault: Vault;
  tabsName: string | undefined;
  patienceMs: number;
  onSignedIn: (session: Session) => void;
  onSignedOut: (reason: SignedOutReason) => void;
}

/** A 401 that a new token does not cure has another reason: no more often does one cause a refresh. */
const forcedEveryMs = 30_000;

type Answer = Record<string, unknown>;

const signedOut = (reason: SignedOutReason) =>
  new KeyturnError('signed_out', { detail: 'Nobody is signed in.', reason });

const isSuperseded = (error: unknown) => error instanceof KeyturnError && error.code === 'superseded';

const requireCurrent = (signal: AbortSignal): void => {
  if (signal.aborted) throw new KeyturnError('superseded');
};

/** The state of one session: which access token is good, and how another is had. */
export function makeSession({ call, vault, tabsName, patienceMs, onSignedIn, onSignedOut }: SessionOptions) {
  let held: Held | undefined;
  /** Why nobody is signed in; undefined also while that is not known yet. */
  let outBecause: SignedOutReason | undefined;
  /** Whom the app believes to be signed in. */
  let toldId: string | undefined;
  let refreshing: Promise<Held> | undefined;
  let forcedAtMs = -Infinity;
  /** The answer that said when to come again. */
  let rest: { sinceMs: number; error: KeyturnError } | undefined;
  /** Ends with a sign-out: what was asked for before is not kept. */
  let era = new AbortController();

  /** Forgets at once. `isNews`: even if this page has not said yet that anybody is signed in. */
  const end = (reason: SignedOutReason, isNews = false): void => {
    if (isNews || toldId !== undefined) queueMicrotask(() => onSignedOut(reason));
    held = toldId = undefined;
    outBecause = reason;
    refreshing = rest = undefined;
    era.abort();
    era = new AbortController();
  };

  const tabs = openTabs(tabsName, (news) => {
    if (news.kind === 'signed_in') {
      if (outBecause === undefined) return;
      outBecause = undefined; // its own storage says by whom
      accessToken().catch(() => {});
    } else if (held && held.sessionId === news.sessionId) {
      if (news.kind === 'signed_out') end(news.reason);
      else if (news.held.askedAtMs > held.askedAtMs) held = news.held;
    }
  });

  /** Keeps what an answer brought: the refresh token first, so that no crash can lose it. */
  const keep = async (answer: Answer, askedAtMs: number, signal: AbortSignal): Promise<Held> => {
    const fresh = readHeld(answer, askedAtMs);
    await vault.keep(answer);
    requireCurrent(signal);
    held = fresh;
    outBecause = rest = undefined;
    if (toldId !== fresh.sessionId) queueMicrotask(() => onSignedIn(sessionOf(fresh)));
    toldId = fresh.sessionId;
    return fresh;
  };

  /** One try, of one tab at a time. */
  const tryRefresh = async (signal: AbortSignal): Promise<Held> => {
    requireCurrent(signal);
    if (held && isFresh(held)) return held; // another tab was faster
    const askedAtMs = Date.now();
    if (rest && isWithin(rest.sinceMs, rest.error.retryAfterSeconds * 1000))
      throw rest.error.after((askedAtMs - rest.sinceMs) / 1000);
    const presented = await vault.read();
    requireCurrent(signal);
    if (presented === undefined) {
      end('logged_out');
      throw signedOut('logged_out');
    }
    try {
      const fresh = await keep(await vault.present('/refresh', presented, signal), askedAtMs, signal);
      tabs.tell({ kind: 'refreshed', sessionId: fresh.sessionId, held: fresh });
      return fresh;
    } catch (error) {
      if (!(error instanceof KeyturnError)) throw error;
      const { code, status, reason = 'invalid', retryAfterSeconds } = error;
      if (retryAfterSeconds > 0) rest = { sinceMs: Date.now(), error };
      if (status !== 401 || code !== 'invalid_refresh_token') throw error;
      const isForgotten = await vault.forget(presented);
      requireCurrent(signal);
      if (!isForgotten) throw new KeyturnError('superseded'); // somebody else stored a newer one meanwhile
      if (toldId !== undefined) tabs.tell({ kind: 'signed_out', sessionId: toldId, reason });
      end(reason, true);
      throw signedOut(reason);
    }
  };

  /** One for all who ask at the same time. */
  const refresh = (): Promise<Held> => {
    if (refreshing) return refreshing;
    const { signal } = era;
    const attempt = () => tabs.inTurn(() => tryRefresh(signal));
    const mine = persist(attempt, { patienceMs, signal }).finally(() => {
      if (refreshing === mine) refreshing = undefined;
    });
    refreshing = mine;
    return mine;
  };

  async function accessToken(): Promise<string> {
    for (;;) {
      if (outBecause !== undefined) throw signedOut(outBecause);
      if (held && isFresh(held)) return held.accessToken;
      const renewal = refresh();
      if (held && isUsable(held)) {
        renewal.catch(() => {}); // while the service is away, what is still good is good
        return held.accessToken;
      }
      try {
        return (await renewal).accessToken;
      } catch (error) {
        if (!isSuperseded(error)) throw error;
      }
    }
  }

  return {
    accessToken,
    current: (): Session | null => (held ? sessionOf(held) : null),
    close: () => tabs.close(),

    /** A service refused this token. Whether another one is worth a try. */
    refused: (token: string): boolean => {
      if (held?.accessToken !== token || held.usableMs === 0) return true;
      if (isWithin(forcedAtMs, forcedEveryMs)) return false;
      forcedAtMs = Date.now();
      held = { ...held, freshMs: 0, usableMs: 0 };
      return true;
    },

    /** A login or a registration. Until it succeeds, whoever was signed in remains so. */
    signIn(path: '/login' | '/register', body: object): Promise<{ session: Session; user: unknown }> {
      const { signal } = era;
      return tabs.inTurn(async () => {
        requireCurrent(signal);
        const askedAtMs = Date.now();
        // The service ends the session that this one replaces.
        const headers: Record<string, string> = held ? { authorization: `Bearer ${held.accessToken}` } : {};
        const answer = await call(path, { body, headers });
        const session = sessionOf(await keep(answer, askedAtMs, signal));
        tabs.tell({ kind: 'signed_in' });
        return { session, user: answer['user'] };
      });
    },

    async signOut({ isToldAlready = false } = {}): Promise<void> {
      if (toldId !== undefined) tabs.tell({ kind: 'signed_out', sessionId: toldId, reason: 'logged_out' });
      end('logged_out');
      const presented = await tabs.alone(() => vault.take());
      if (presented === undefined || isToldAlready) return;
      const tell = async () => {
        // Where somebody has logged in since, the cookie is theirs; that login has ended this session.
        if (!(vault.isShared && held)) await vault.present('/logout', presented);
      };
      await persist(() => tabs.inTurn(tell), { patienceMs });
    },
  };
}
