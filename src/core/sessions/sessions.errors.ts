import { defineError } from '../../lib/errors.ts';

/** Why a refresh token that this service issued was rejected. Clients can show the reason to their users. */
export const refreshFailureReasons = ['expired', 'revoked', 'reused', 'unknown_session'] as const;
export type RefreshFailureReason = (typeof refreshFailureReasons)[number];

/**
 * RFC 6749 section 5.2 calls it `invalid_grant`. It has no `WWW-Authenticate`, contrary to RFC 9110 section 15.5.2: a Bearer
 * challenge would make clients request another access token.
 */
export class InvalidRefreshToken extends defineError({
  status: 401,
  code: 'invalid_refresh_token',
  title: 'Invalid refresh token',
  detail: 'The refresh token is invalid, expired or revoked. Log in again.',
}) {
  /** `publicReason` is only for genuine tokens: it shows that the session exists or existed. */
  constructor(reason: string, publicReason?: RefreshFailureReason) {
    super(reason, publicReason ? { members: { reason: publicReason } } : {});
  }
}

/** Whether an error reports a stolen token. Rate limits must not hide it. */
export const isReuse = (error: unknown): boolean =>
  error instanceof InvalidRefreshToken && error.extras.members?.['reason'] === 'reused';
