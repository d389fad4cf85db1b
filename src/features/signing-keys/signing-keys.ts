import type { ListedKey, RotationAnswer } from '../../core/signing-keys/key-operations.store.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { NotFound } from '../../core/errors.ts';
import { NotReady } from '../../lib/errors.ts';
import type { AdminKeysStore } from './signing-keys.store.ts';

/** Each call is an administrator's. @throws InvalidAccessToken, InsufficientScope */
export interface AdminKeys {
  list: (principal: Principal) => Promise<ListedKey[]>;
  /** @throws NotReady where no process has made the next key yet */
  rotate: (principal: Principal, request: RequestInfo) => Promise<RotationAnswer[]>;
  /** One that is revoked already stays so. @throws NotFound */
  revoke: (principal: Principal, kid: string, request: RequestInfo) => Promise<void>;
}

export const makeAdminKeys = (store: AdminKeysStore): AdminKeys => ({
  list: async (principal) => requireLive(await store.list(principal)),

  async rotate(principal, request) {
    const answers = requireLive(await store.rotate(principal, request));
    if (answers.length === 0) throw new NotReady('no next signing key');
    return answers;
  },

  async revoke(principal, kid, request) {
    if (requireLive(await store.revoke(principal, kid, request)).kind === 'unknown') throw new NotFound('signing key');
  },
});
