import { requireLive } from '../../core/sessions/require-live.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { NotFound } from '../../http/refusals.ts';
import type { SessionId } from '../../kernel/id.ts';
import type { MySessionsStore, SessionRow } from './my-sessions.store.ts';

export interface SessionPage {
  sessions: SessionRow[];
  /** Where the next page begins; undefined at the end. */
  next: SessionId | undefined;
}

export type ListMySessions = (caller: Caller, before: SessionId | undefined, limit: number) => Promise<SessionPage>;
export type EndMySession = (caller: Caller, id: SessionId, client: Client) => Promise<void>;

/** @throws InvalidAccessToken */
export const makeListMySessions =
  ({ store }: { store: MySessionsStore }): ListMySessions =>
  async (caller, before, limit) => {
    const rows = requireLive(await store.list(caller, before, limit + 1));
    const sessions = rows.slice(0, limit);
    return { sessions, next: rows.length > limit ? sessions.at(-1)?.id : undefined };
  };

/** @throws InvalidAccessToken, NotFound */
export const makeEndMySession =
  ({ store }: { store: MySessionsStore }): EndMySession =>
  async (caller, id, client) => {
    if (!requireLive(await store.end(caller, id, client))) throw new NotFound('session');
  };
