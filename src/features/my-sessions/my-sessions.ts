import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { InvalidAccessToken, NotFound } from '../../http/refusals.ts';
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
    const rows = await store.list(caller, before, limit + 1);
    if (!rows) throw new InvalidAccessToken('session ended');
    const sessions = rows.slice(0, limit);
    return { sessions, next: rows.length > limit ? sessions.at(-1)?.id : undefined };
  };

/** @throws InvalidAccessToken, NotFound */
export const makeEndMySession =
  ({ store }: { store: MySessionsStore }): EndMySession =>
  async (caller, id, client) => {
    const outcome = await store.end(caller, id, client);
    if (outcome === 'caller_dead') throw new InvalidAccessToken('session ended');
    if (outcome === 'absent') throw new NotFound('session');
  };
