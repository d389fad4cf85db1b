import type { RefreshToken } from '../../core/sessions/ratchet.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { LogoutStore } from './logout.store.ts';

export interface LogoutDeps {
  store: LogoutStore;
}

/** Undefined: what was presented is no token of ours. */
export type Logout = (presented: RefreshToken | undefined, client: Client) => Promise<void>;
export type LogoutAll = (caller: Caller, client: Client) => Promise<void>;

/**
 * Ends the session of a genuine refresh token, spent or not: a client that lost an answer must be able to log out. A
 * token without a good MAC ends nothing, and is answered alike.
 */
export const makeLogout =
  ({ store }: LogoutDeps): Logout =>
  async (token, client) => {
    if (token) await store.endSession(token.sessionId, client);
  };

/** Ends every session of the caller. @throws InvalidAccessToken */
export const makeLogoutAll =
  ({ store }: LogoutDeps): LogoutAll =>
  async (caller, client) => {
    requireLive(await store.endAll(caller, client));
  };
