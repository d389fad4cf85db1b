import { actorOf, type KeyActor } from '../../core/audit/audit.store.ts';
import {
  askForRotationIn,
  listKeys,
  type ListedKey,
  type Revocation,
  revokeKeyIn,
  type RotationAnswer,
} from '../../core/signing-keys/key-operations.store.ts';
import { actAsAdministrator } from '../../core/authorization/administrator.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Database } from '../../platform/postgres.ts';

const act = { needs: ['keys:write'] };
const actor = (principal: Principal, { id: requestId }: RequestInfo): KeyActor => ({
  reason: 'admin',
  requestId,
  ...actorOf(principal),
});

/** Each returns undefined where the caller is dead. @throws InsufficientScope */
export const makeAdminKeysStore = (db: Database) => ({
  list: (principal: Principal): Promise<ListedKey[] | undefined> => actAsAdministrator(db, principal, act, listKeys),

  rotate: (principal: Principal, request: RequestInfo): Promise<RotationAnswer[] | undefined> =>
    actAsAdministrator(db, principal, act, (tx) => askForRotationIn(tx, actor(principal, request))),

  revoke: (principal: Principal, kid: string, request: RequestInfo): Promise<Revocation | undefined> =>
    actAsAdministrator(db, principal, act, (tx) => revokeKeyIn(tx, kid, actor(principal, request))),
});

export type AdminKeysStore = ReturnType<typeof makeAdminKeysStore>;
