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
