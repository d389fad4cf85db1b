import type { z } from 'zod';
import type { Problem } from '../../http/schemas.ts';
import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

/** What a client may tell its user, where the token is genuine. */
export type PublicReason = NonNullable<z.output<typeof Problem>['reason']>;

/**
 * RFC 6749 section 5.2 calls it `invalid_grant`; this API names what is to be done about it.
 * No `WWW-Authenticate`, against RFC 9110 section 15.5.2: a Bearer challenge would send clients for another access token.
 */
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
