import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

/** What a client may tell its user, where the token is genuine. */
export type PublicReason = 'expired' | 'revoked' | 'reused' | 'unknown_session';

export class InvalidRefreshToken extends Refusal {
  static readonly kind: RefusalKind = {
    status: 401,
    code: 'invalid_refresh_token',
    title: 'Invalid refresh token',
    detail: 'The refresh token is not good (any more). Log in again.',
  };
  constructor(reason: string, publicReason?: PublicReason) {
    super(InvalidRefreshToken.kind, reason, publicReason ? { members: { reason: publicReason } } : {});
  }
}
