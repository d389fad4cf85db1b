import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

export class EmailTaken extends Refusal {
  static readonly kind: RefusalKind = {
    status: 409,
    code: 'email_taken',
    title: 'E-mail address taken',
    detail: 'There is an account with this e-mail address. Log in instead.',
  };
  constructor() {
    super(EmailTaken.kind, 'unique index');
  }
}

export class RegistrationClosed extends Refusal {
  static readonly kind: RefusalKind = {
    status: 403,
    code: 'registration_closed',
    title: 'Registration closed',
    detail: 'This service does not take new accounts.',
  };
  constructor() {
    super(RegistrationClosed.kind, 'REGISTRATION=closed');
  }
}
