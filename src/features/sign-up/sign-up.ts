import type { Audit } from '../../core/audit/audit.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type CreatedSession, type CreateSession, replaceSession } from '../../core/sessions/create-session.ts';
import type { IssuedTokens, Tokens } from '../../core/tokens/issue-tokens.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { HashNewPassword } from '../../core/users/new-password.ts';
import type { UserRow } from '../../core/users/user.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import { EmailTaken, RegistrationClosed } from './sign-up.errors.ts';
import { findUser, grantUserRole, type NewAccount } from './sign-up.sql.ts';

export interface SignUpDeps {
  db: Database;
  audit: Audit;
  outbox: Outbox;
  hashNewPassword: HashNewPassword;
  createSession: CreateSession;
  tokens: Tokens;
  clock: Clock;
  registrationOpen: boolean;
  emailVerification: 'off' | 'optional' | 'required';
}

export interface Registration {
  email: EmailAddress;
  password: string;
  displayName: string;
  /** The session whose cookie the response overwrites. */
  replaces: SessionId | undefined;
}

export interface SignedUp {
  user: UserRow;
  tokens: IssuedTokens;
}

/** Undefined if the email address must be verified first: the response must not show whether an account was created. */
export type SignUp = (registration: Registration, request: RequestInfo) => Promise<SignedUp | undefined>;

/** Creates an account and logs it in. @throws RegistrationClosed, ValidationFailed, EmailTaken, Overloaded, NotReady */
export const makeSignUp =
  (deps: SignUpDeps): SignUp =>
  async ({ email, password, displayName, replaces }, request) => {
    const { hashNewPassword, tokens, clock, registrationOpen, emailVerification } = deps;
    if (!registrationOpen) throw new RegistrationClosed();
    tokens.requireKey();
    const passwordHash = await hashNewPassword({
      field: 'password',
      password,
      context: { email, displayName },
      request,
    });
    const account = { id: newId<UserId>(clock.nowMs()), email, displayName, passwordHash };
    if (emailVerification === 'required') {
      await registerUnverified(deps, account, request);
      return undefined;
    }
    const { user, created } = await register(deps, account, replaces, request);
    request.annotate({ userId: user.id, sessionId: created.session.id });
    return { user, tokens: tokens.issue(created.session, created.refreshToken) };
  };

/** Creates the account with its first session. @throws EmailTaken */
const register = (
  deps: SignUpDeps,
  account: NewAccount,
  replaces: SessionId | undefined,
  request: RequestInfo,
): Promise<{ user: UserRow; created: CreatedSession }> =>
  deps.db.transaction(async (tx) => {
    const { audit, createSession, emailVerification } = deps;
    const { id: userId, passwordHash: verifiedHash } = account;
    if (!(await createAccount(tx, account))) throw new EmailTaken();
    const created = await createSession(tx, { userId, verifiedHash, requestedScope: null, request });
    const user = await findUser(tx, userId);
    if (!created || !user) throw new Error('the account that was just created does not exist');
    const actor = { userId };
    if (replaces) await replaceSession(tx, audit, replaces, actor, request);
    await audit.record(tx, request, { type: 'account.registered', actor, userId, sessionId: created.session.id });
    if (emailVerification !== 'off') await requestEmail(deps, tx, account, request);
    return { user, created };
  });

/** Creates the account without a session, if the address is free. Runs the same statements either way, so that the time reveals nothing. */
const registerUnverified = (deps: SignUpDeps, account: NewAccount, request: RequestInfo): Promise<void> =>
  deps.db.transaction(async (tx) => {
    const isCreated = await createAccount(tx, account);
    await deps.audit.record(tx, request, {
      type: 'account.registered',
      ...(isCreated ? { userId: account.id } : { outcome: 'failure', reason: 'email_taken' }),
    });
    await requestEmail(deps, tx, account, request);
  });

/** Creates the account with the role `user`. False if the email address is taken or reserved. */
async function createAccount(tx: Transaction, account: NewAccount): Promise<boolean> {
  // The unique index decides between concurrent registrations of one address, without failing the transaction.
  const { count: inserted } = await tx.user.createMany({ data: [account], skipDuplicates: true });
  const granted = await grantUserRole(tx, account);
  if (inserted > granted) await tx.user.delete({ where: { id: account.id } });
  return granted === 1;
}

const requestEmail = (
  { outbox }: SignUpDeps,
  tx: Transaction,
  { id, email }: NewAccount,
  request: RequestInfo,
): Promise<void> => outbox.enqueueRequest(tx, { kind: 'registration', email, userId: id, source: request });
