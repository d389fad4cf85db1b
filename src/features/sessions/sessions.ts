import { requireLive } from '../../core/authorization/rules.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { NotFound } from '../../core/errors.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { MySessionsStore, SessionRow } from './sessions.store.ts';

export interface SessionPage {
  sessions: SessionRow[];
  /** Where the next page begins; undefined at the end. */
  next: SessionId | undefined;
}

export type ListMySessions = (
  principal: Principal,
  before: SessionId | undefined,
  limit: number,
) => Promise<SessionPage>;
export type EndMySession = (principal: Principal, id: SessionId, request: RequestInfo) => Promise<void>;

/** @throws InvalidAccessToken */
export const makeListMySessions =
  ({ store }: { store: MySessionsStore }): ListMySessions =>
  async (principal, before, limit) => {
    const rows = requireLive(await store.list(principal, before, limit + 1));
    const sessions = rows.slice(0, limit);
    return { sessions, next: rows.length > limit ? sessions.at(-1)?.id : undefined };
  };

/** @throws InvalidAccessToken, NotFound */
export const makeEndMySession =
  ({ store }: { store: MySessionsStore }): EndMySession =>
  async (principal, id, request) => {
    if (!requireLive(await store.end(principal, id, request))) throw new NotFound('session');
  };
