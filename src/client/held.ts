import { KeyturnError } from './errors.ts';

/** Who is signed in, as far as this page knows. */
export interface Session {
  readonly sessionId: string;
  /** What the access token may do, separated by spaces. */
  readonly scope: string;
}

/** An access token. Only differences of this device's own clock decide about it, however wrong that clock is. */
export interface Held extends Session {
  readonly accessToken: string;
  readonly askedAtMs: number;
  /** After so long a new one is fetched, */
  readonly freshMs: number;
  /** and after so long this one is not given out any more. */
  readonly usableMs: number;
}

/** How long before its end an access token is renewed, and when it may be too late for a call. */
const renewSeconds = 60;
const lateSeconds = 10;

/** @throws KeyturnError for an answer without a token */
export function readHeld(answer: Record<string, unknown>, askedAtMs: number): Held {
  const { access_token: accessToken, expires_in: seconds, session_id: sessionId, scope } = answer;
  if (typeof accessToken !== 'string' || typeof seconds !== 'number' || typeof sessionId !== 'string')
    throw new KeyturnError('bad_answer');
  const until = (marginSeconds: number) => (seconds - Math.min(marginSeconds, seconds / 4)) * 1000;
  const [freshMs, usableMs] = [until(renewSeconds), until(lateSeconds)];
  return { sessionId, scope: String(scope), accessToken, askedAtMs, freshMs, usableMs };
}

/** No for a clock that was set back, too: it tells nothing. */
export const isWithin = (sinceMs: number, spanMs: number): boolean => {
  const ageMs = Date.now() - sinceMs;
  return ageMs >= 0 && ageMs < spanMs;
};

export const isFresh = ({ askedAtMs, freshMs }: Held): boolean => isWithin(askedAtMs, freshMs);
export const isUsable = ({ askedAtMs, usableMs }: Held): boolean => isWithin(askedAtMs, usableMs);
export const sessionOf = ({ sessionId, scope }: Held): Session => ({ sessionId, scope });
