import type { DrawNewSession } from '../../core/sessions/new-session.ts';
import { formatToken } from '../../core/sessions/refresh-token.ts';
import type { TokenResponse } from '../../http/schemas/token-response.ts';
import type { Tokens } from '../../core/tokens/issue-tokens.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { HashNewPassword } from '../../core/users/new-password.ts';
import { toUser, type User } from '../../core/users/user.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId, type SessionId, type UserId } from '../../lib/ids.ts';
import { EmailTaken, RegistrationClosed } from './sign-up.errors.ts';
import type { SignUpStore } from './sign-up.store.ts';

export interface SignUpDeps {
  store: SignUpStore;
  hashNewPassword: HashNewPassword;
  newSession: DrawNewSession;
  tokens: Tokens;
  clock: Clock;
  registrationOpen: boolean;
  emailVerification: 'off' | 'optional' | 'required';
}

export interface Registration {
  email: EmailAddress;
  password: string;
  displayName: string;
  /** The session whose cookie the new one's overwrites. */
  replaces: SessionId | undefined;
}

/** Undefined where the address must be verified first: then nobody learns whether there is an account now. */
export type SignUp = (
  registration: Registration,
  request: RequestInfo,
) => Promise<(TokenResponse & { user: User }) | undefined>;

/** Makes an account and logs it in. @throws RegistrationClosed, ValidationFailed, EmailTaken, Overloaded */
export const makeSignUp = (deps: SignUpDeps): SignUp => {
  const { store, hashNewPassword, newSession, tokens, clock, registrationOpen, emailVerification } = deps;
  return async ({ email, password, displayName, replaces }, request) => {
    if (!registrationOpen) throw new RegistrationClosed();
    tokens.requireKey();
    const passwordHash = await hashNewPassword({
      field: 'password',
      password,
      context: { email, displayName },
      signal: request.signal,
    });
    const account = { id: newId<UserId>(clock.nowMs()), email, displayName, passwordHash };
    if (emailVerification === 'required') {
      await store.enrol(account, request);
      return undefined;
    }
    const { token, birth } = newSession(request, null);
    const outcome = await store.register(account, birth, replaces, request);
    if (outcome.kind === 'email_taken') throw new EmailTaken();
    request.annotate({ userId: account.id, sessionId: token.sessionId });
    return { user: toUser(outcome.user), ...tokens.respond(outcome.session, formatToken(token)) };
  };
};
