import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { administrator, revokeKey } from '../../core/signing-keys/operator-actions.ts';
import type { ChangeSigningKeysDeps } from './rotate-signing-keys.ts';

/** Revokes a signing key permanently. Does nothing if it is already revoked. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeRevokeSigningKey =
  ({ db, authorize, audit }: ChangeSigningKeysDeps) =>
  (principal: Principal, kid: string, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      await authorize(tx, principal, { scopes: ['keys:write'] });
      const { kind } = await revokeKey(tx, audit, kid, administrator(principal, request));
      if (kind === 'not_found') throw new NotFound('signing key');
    });
