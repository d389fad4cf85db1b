import type { Ratchet } from '../../core/sessions/ratchet.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { LogoutStore } from './logout.store.ts';

export interface LogoutDeps {
  ratchet: Ratchet;
  store: LogoutStore;
}

export type Logout = (presented: string, client: Client) => Promise<void>;
export type LogoutAll = (caller: Caller, client: Client) => Promise<void>;

/**
 * Ends the session of a genuine refresh token, spent or not: a client that lost an answer must be able to log out. A
 * token without a good MAC ends nothing, and is answered alike.
 */
export const makeLogout =
  ({ ratchet, store }: LogoutDeps): Logout =>
  async (presented, client) => {
    const token = ratchet.parse(presented);
    if (token) await store.endSession(token.sessionId, client);
  };

/** Ends every session of the caller. @throws InvalidAccessToken */
export const makeLogoutAll =
  ({ store }: Pick<LogoutDeps, 'store'>): LogoutAll =>
  async (caller, client) => {
    requireLive(await store.endAll(caller, client));
  };
