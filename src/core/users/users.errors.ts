import { Conflict } from '../errors.ts';
import { defineError, retryAfter } from '../../lib/errors.ts';

/**
 * The same error for an unknown account, a wrong password and a disabled account. It has no `WWW-Authenticate`, contrary to
 * RFC 9110 section 15.5.2: a Bearer challenge would make clients request another access token.
 */
export class InvalidCredentials extends defineError({
  status: 401,
  code: 'invalid_credentials',
  title: 'Invalid credentials',
  detail: 'The email address or the password is incorrect.',
}) {}

/**
 * Thrown only for the correct password, with EMAIL_VERIFICATION=required. It shows anyone who has just registered an address
 * that the address was free (docs/decisions/0013-script-free-link-pages.md).
 */
export class EmailNotVerified extends defineError({
  status: 403,
  code: 'email_not_verified',
  title: 'Email address not verified',
  detail: 'Verify your email address first. /verify-email/resend sends a new link.',
}) {}

/** The same error for existing and unknown addresses and for the correct password: otherwise it would reveal which is which. */
export class AccountLocked extends defineError({
  status: 423,
  code: 'account_locked',
  title: 'Account locked',
  detail: 'Too many failed attempts for this email address. Try again after the number of seconds in Retry-After.',
}) {
  constructor(retryAfterSeconds: number) {
    super('locked', retryAfter(retryAfterSeconds));
  }
}

/** The service must keep one active administrator. */
export class LastAdmin extends Conflict {
  constructor() {
    super('This is the last active administrator. Grant the role `admin` to another user first.', 'last_admin');
  }
}
