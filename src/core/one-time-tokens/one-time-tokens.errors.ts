import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

/** One answer for a token that is unknown, used, void, expired or for something else. */
export class InvalidToken extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'invalid_token',
    title: 'Invalid link',
    detail: 'This link was used already, is too old, or was replaced by a newer one. Ask for another.',
  };
  constructor(reason: string) {
    super(InvalidToken.kind, reason);
  }
}
