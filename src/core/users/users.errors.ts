import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

/**
 * One answer for an unknown account, a wrong password and a disabled account.
 * No `WWW-Authenticate`, against RFC 9110 section 15.5.2: a Bearer challenge would send clients for another access token.
 */
export class InvalidCredentials extends Refusal {
  static readonly kind: RefusalKind = {
    status: 401,
    code: 'invalid_credentials',
    title: 'Invalid credentials',
    detail: 'The e-mail address or the password is not right.',
  };
  constructor(reason: string) {
    super(InvalidCredentials.kind, reason);
  }
}

/**
 * Only for the right password, where EMAIL_VERIFICATION=required. Whoever has just registered an address learns by it that
 * the address was free (docs/decisions/0013-script-free-link-pages.md).
 */
export class EmailNotVerified extends Refusal {
  static readonly kind: RefusalKind = {
    status: 403,
    code: 'email_not_verified',
    title: 'E-mail address not verified',
    detail: 'Open the link that was mailed to this address first; /verify-email/resend sends another.',
  };
  constructor() {
    super(EmailNotVerified.kind, 'email_not_verified');
  }
}

/** For existing and unknown addresses alike, and for the right password, too: else it would tell which one is right. */
export class AccountLocked extends Refusal {
  static readonly kind: RefusalKind = {
    status: 423,
    code: 'account_locked',
    title: 'Locked for a while',
    detail: 'There were too many failed attempts for this e-mail address. Try again after the time in Retry-After.',
  };
  constructor(retryAfterSeconds: number) {
    super(AccountLocked.kind, 'locked', { headers: { 'Retry-After': String(retryAfterSeconds) } });
  }
}

/** Whoever it is that would go, be disabled or lose the role `admin`: somebody must administer the service. */
export class LastAdmin extends Refusal {
  static readonly kind: RefusalKind = {
    status: 409,
    code: 'conflict',
    title: 'Conflict',
    detail: 'This is the last active administrator. Give somebody else the role `admin` first.',
  };
  constructor() {
    super(LastAdmin.kind, 'last_admin');
  }
}
