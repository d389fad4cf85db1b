import type { RequestInfo } from '../../../core/request-info.ts';
import { EmailAddress } from '../../../core/users/email-address.ts';
import { PresentedPassword } from '../../../core/users/user.ts';
import { AccountLocked, InvalidCredentials } from '../../../core/users/users.errors.ts';
import type { IssuedTokens } from '../../../core/tokens/issue-tokens.ts';
import { toTokenResponse } from '../../../http/schemas/token-response.ts';
import { requireFirstParty } from '../clients.ts';
import { InvalidGrant } from '../oauth.errors.ts';
import { required } from '../oauth.schemas.ts';
import type { Grant } from '../token.ts';

/** The use case of `/login`, with its lockout and audit. */
export type LogIn = (
  attempt: { email: EmailAddress; password: string; scope: string | null; replaces: readonly [] },
  request: RequestInfo,
) => Promise<IssuedTokens>;

/** Exchanges a password for tokens (RFC 6749 section 4.3). Off by default because RFC 9700 section 2.4 forbids it. */
export const passwordGrant = (login: LogIn): Grant => ({
  type: 'password',
  rateLimit: { group: 'login', counts: [InvalidCredentials, AccountLocked] },
  async exchange({ username, password, scope = null }, client, request) {
    requireFirstParty(client);
    const email = EmailAddress.safeParse(required('username', username));
    const presented = PresentedPassword.safeParse(required('password', password));
    if (!email.success || !presented.success) throw new InvalidGrant('malformed credentials');
    return toTokenResponse(await login({ email: email.data, password: presented.data, scope, replaces: [] }, request));
  },
});
