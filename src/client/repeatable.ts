// Operations that the service can have done although the client did not receive the response.
import { hasCode, KeyturnError } from './errors.ts';
import type { SendRequest } from './request.ts';
import { retry } from './retry.ts';
import type { makeSession } from './session.ts';

type ClientSession = ReturnType<typeof makeSession>;

export interface Registration {
  email: string;
  password: string;
  display_name: string;
}

/** An account, as returned by `GET /me`. */
export interface User {
  id: string;
  email: string;
  email_verified: boolean;
  display_name: string;
  roles: string[];
  scopes: string[];
  mfa_enabled: boolean;
  created_at: string;
  updated_at: string;
}

const isTemporary = (error: unknown): boolean => error instanceof KeyturnError && error.isTemporary;

interface RegisterDeps {
  session: ClientSession;
  sendAuthorized: SendRequest;
  transport: 'body' | 'cookie';
}

/** Registers. If an earlier call had no response and the address is now taken, logs in instead. */
export function makeRegister({ session, sendAuthorized, transport }: RegisterDeps) {
  /** The addresses of calls that had no response. */
  const uncertain = new Set<string>();

  /** The password shows whether the account is this user's. */
  const logIn = async ({ email, password }: Registration, emailTaken: KeyturnError): Promise<User> => {
    await session.signIn('/login', { email, password, transport }).catch((error: unknown) => {
      throw hasCode(error, 'invalid_credentials') ? emailTaken : error;
    });
    return (await sendAuthorized('/me', { method: 'GET' })) as unknown as User;
  };

  return async (registration: Registration): Promise<User> => {
    const { email } = registration ?? {}; // also for callers without types
    try {
      return (await session.signIn('/register', { ...registration, transport })).user as User;
    } catch (error) {
      if (isTemporary(error)) uncertain.add(email);
      if (hasCode(error, 'email_taken') && uncertain.has(email)) return logIn(registration, error);
      throw error;
    }
  };
}

interface LogoutAllDeps {
  session: ClientSession;
  sendAuthorized: SendRequest;
  retryTimeoutMs: number;
}

/**
 * Revokes every session until the service confirms it. After a lost response, a revoked session is no confirmation: it can also have
 * been ended alone, by a thief who wants to keep the others.
 */
export const makeLogoutAll =
  ({ session, sendAuthorized, retryTimeoutMs }: LogoutAllDeps) =>
  async (): Promise<void> => {
    try {
      await retry(() => sendAuthorized('/logout/all', {}), { retryTimeoutMs });
    } catch (error) {
      throw hasCode(error, 'signed_out') ? unconfirmed(error) : error;
    }
    await session.signOut({ isRevoked: true });
  };

const unconfirmed = ({ reason, cause }: KeyturnError) =>
  new KeyturnError('signed_out', {
    detail: 'Other sessions may still be open. Log in again, and log out everywhere again.',
    reason,
    cause,
  });
