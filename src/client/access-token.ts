import { KeyturnError } from './errors.ts';
import type { ResponseBody } from './request.ts';

/** The session of the signed-in user. */
export interface Session {
  readonly sessionId: string;
  /** The scopes of the access token, separated by spaces. */
  readonly scope: string;
}

/** An access token. Its age is a difference of the device's clock, so a wrong clock does no harm. */
export interface AccessToken extends Session {
  readonly token: string;
  readonly requestedAtMs: number;
  /** The age at which the client starts to refresh it. */
  readonly refreshAfterMs: number;
  /** The age at which the client stops using it. */
  readonly usableForMs: number;
}

const refreshMarginSeconds = 60;
const usableMarginSeconds = 10;

/** @throws KeyturnError if the response contains no access token, for example because the address must be verified first */
export function parseAccessToken(body: ResponseBody, requestedAtMs: number): AccessToken {
  const { access_token: token, expires_in: seconds, session_id: sessionId, scope } = body;
  if (token === undefined && typeof body['message'] === 'string')
    throw new KeyturnError('email_not_verified', { detail: body['message'] });
  if (typeof token !== 'string' || typeof seconds !== 'number' || typeof sessionId !== 'string')
    throw new KeyturnError('invalid_response');
  const lifetimeWithoutMs = (marginSeconds: number) => (seconds - Math.min(marginSeconds, seconds / 4)) * 1000;
  return {
    sessionId,
    scope: String(scope),
    token,
    requestedAtMs,
    refreshAfterMs: lifetimeWithoutMs(refreshMarginSeconds),
    usableForMs: lifetimeWithoutMs(usableMarginSeconds),
  };
}

/** False also if the clock was set back, because the age is then unknown. */
export const isWithin = (sinceMs: number, durationMs: number): boolean => {
  const ageMs = Date.now() - sinceMs;
  return ageMs >= 0 && ageMs < durationMs;
};

export const isFresh = ({ requestedAtMs, refreshAfterMs }: AccessToken): boolean =>
  isWithin(requestedAtMs, refreshAfterMs);
export const isUsable = ({ requestedAtMs, usableForMs }: AccessToken): boolean => isWithin(requestedAtMs, usableForMs);
export const sessionOf = ({ sessionId, scope }: AccessToken): Session => ({ sessionId, scope });
