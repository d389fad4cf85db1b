import type { RefreshToken } from '../../core/sessions/refresh-token.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LogoutStore } from './logout.store.ts';

export interface LogoutDeps {
  store: LogoutStore;
}

/** Undefined: what was presented is no token of ours. */
export type Logout = (presented: RefreshToken | undefined, request: RequestInfo) => Promise<void>;
export type LogoutAll = (principal: Principal, request: RequestInfo) => Promise<void>;

/**
 * Ends the session of a genuine refresh token, spent or not: a client that lost an answer must be able to log out. A
 * token without a good MAC ends nothing, and is answered alike.
 */
export const makeLogout =
  ({ store }: LogoutDeps): Logout =>
  async (token, request) => {
    if (token) await store.endSession(token.sessionId, request);
  };

/** Ends every session of the caller. @throws InvalidAccessToken */
export const makeLogoutAll =
  ({ store }: LogoutDeps): LogoutAll =>
  async (principal, request) => {
    requireLive(await store.endAll(principal, request));
  };
