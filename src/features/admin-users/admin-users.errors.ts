import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

export class AccountDisabled extends Refusal {
  static readonly kind: RefusalKind = {
    status: 409,
    code: 'conflict',
    title: 'Conflict',
    detail: 'The account is disabled, and nothing is mailed to it. Enable it first.',
  };
  constructor() {
    super(AccountDisabled.kind, 'account disabled');
  }
}
