import type { DrawNewSession } from '../../core/sessions/new-session.ts';
import { formatToken } from '../../core/sessions/ratchet.ts';
import type { TokenResponse } from '../../core/tokens/token-response.ts';
import type { Tokens } from '../../core/tokens/tokens.ts';
import type { Email } from '../../core/users/email.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import { toUser, type User } from '../../core/users/user.ts';
import type { Client } from '../../http/context.ts';
import type { Clock } from '../../kernel/clock.ts';
import { newId, type SessionId, type UserId } from '../../kernel/id.ts';
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
  email: Email;
  password: string;
  displayName: string;
  /** The session whose cookie the new one's overwrites. */
  replaces: SessionId | undefined;
}

/** Undefined where the address must be verified first: then nobody learns whether there is an account now. */
export type SignUp = (
  registration: Registration,
  client: Client,
) => Promise<(TokenResponse & { user: User }) | undefined>;

/** Makes an account and logs it in. @throws RegistrationClosed, ValidationFailed, EmailTaken, Overloaded */
export const makeSignUp = (deps: SignUpDeps): SignUp => {
  const { store, hashNewPassword, newSession, tokens, clock, registrationOpen, emailVerification } = deps;
  return async ({ email, password, displayName, replaces }, client) => {
    if (!registrationOpen) throw new RegistrationClosed();
    tokens.requireKey();
    const passwordHash = await hashNewPassword({
      field: 'password',
      password,
      context: { email, displayName },
      gone: client.gone,
    });
    const account = { id: newId<UserId>(clock.nowMs()), email, displayName, passwordHash };
    if (emailVerification === 'required') {
      await store.enrol(account, client);
      return undefined;
    }
    const { token, birth } = newSession(client, null);
    const outcome = await store.register(account, birth, replaces, client);
    if (outcome.kind === 'email_taken') throw new EmailTaken();
    client.note({ userId: account.id, sessionId: token.sessionId });
    return { user: toUser(outcome.user), ...tokens.respond(outcome.session, formatToken(token)) };
  };
};
