import type { ListedKey, RotationAnswer } from '../../core/keys/operator.store.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { NotFound } from '../../http/refusals.ts';
import { NotReady } from '../../kernel/refusal.ts';
import type { AdminKeysStore } from './admin-keys.store.ts';

/** Each call is an administrator's. @throws InvalidAccessToken, InsufficientScope */
export interface AdminKeys {
  list: (caller: Caller) => Promise<ListedKey[]>;
  /** @throws NotReady where no process has made the next key yet */
  rotate: (caller: Caller, client: Client) => Promise<RotationAnswer[]>;
  /** One that is revoked already stays so. @throws NotFound */
  revoke: (caller: Caller, kid: string, client: Client) => Promise<void>;
}

export const makeAdminKeys = (store: AdminKeysStore): AdminKeys => ({
  list: async (caller) => requireLive(await store.list(caller)),

  async rotate(caller, client) {
    const answers = requireLive(await store.rotate(caller, client));
    if (answers.length === 0) throw new NotReady('no next signing key');
    return answers;
  },

  async revoke(caller, kid, client) {
    if (requireLive(await store.revoke(caller, kid, client)).kind === 'unknown') throw new NotFound('signing key');
  },
});
