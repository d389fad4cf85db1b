import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { type ListedKey, listKeys } from '../../core/signing-keys/operator-actions.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ListSigningKeysDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

/** Lists all signing keys. @throws InvalidAccessToken, InsufficientScope */
export const makeListSigningKeys =
  ({ db, authorizeRead }: ListSigningKeysDeps) =>
  async (principal: Principal): Promise<ListedKey[]> => {
    await authorizeRead(db, principal, { scopes: ['keys:write'] });
    return listKeys(db);
  };
