import type { IssuedTokens } from '../../../core/tokens/issue-tokens.ts';
import { toTokenResponse } from '../../../http/schemas/token-response.ts';
import { EmailAddress } from '../../../core/users/email-address.ts';
import { PresentedPassword } from '../../../core/users/user.ts';
import type { RequestInfo } from '../../../core/request-info.ts';
import { requireFirstParty } from '../clients.ts';
import { required } from '../forms.ts';
import { InvalidGrant } from '../oauth.errors.ts';
import type { Grant } from '../token.ts';

/** A login as `/login` does it: the same work, lock-out and audit. */
export type LogIn = (
  attempt: { email: EmailAddress; password: string; scope: string | null; replaces: readonly [] },
  request: RequestInfo,
) => Promise<IssuedTokens>;

/** RFC 6749 section 4.3. RFC 9700 section 2.4 forbids it, so it is off where nobody turns it on. */
export const passwordGrant = (login: LogIn): Grant => ({
  type: 'password',
  async give({ username, password, scope = null }, presented, request) {
    requireFirstParty(presented);
    const email = EmailAddress.safeParse(required('username', username));
    const secret = PresentedPassword.safeParse(required('password', password));
    if (!email.success || !secret.success) throw new InvalidGrant('what no account has');
    return toTokenResponse(await login({ email: email.data, password: secret.data, scope, replaces: [] }, request));
  },
});
