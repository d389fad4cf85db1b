import { actorOf, type KeyActor } from '../../core/audit/audit.store.ts';
import {
  askForRotationIn,
  listKeys,
  type ListedKey,
  type Revocation,
  revokeKeyIn,
  type RotationAnswer,
} from '../../core/keys/operator.store.ts';
import { actAsAdministrator } from '../../core/sessions/administrator.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { Database } from '../../platform/postgres.ts';

const act = { needs: ['keys:write'] };
const actor = (caller: Caller, { requestId }: Client): KeyActor => ({ reason: 'admin', requestId, ...actorOf(caller) });

/** Each returns undefined where the caller is dead. @throws InsufficientScope */
export const makeAdminKeysStore = (db: Database) => ({
  list: (caller: Caller): Promise<ListedKey[] | undefined> => actAsAdministrator(db, caller, act, listKeys),

  rotate: (caller: Caller, client: Client): Promise<RotationAnswer[] | undefined> =>
    actAsAdministrator(db, caller, act, (tx) => askForRotationIn(tx, actor(caller, client))),

  revoke: (caller: Caller, kid: string, client: Client): Promise<Revocation | undefined> =>
    actAsAdministrator(db, caller, act, (tx) => revokeKeyIn(tx, kid, actor(caller, client))),
});

export type AdminKeysStore = ReturnType<typeof makeAdminKeysStore>;
