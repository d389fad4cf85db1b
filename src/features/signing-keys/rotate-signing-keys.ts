import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { administrator, requestRotation, type Rotation } from '../../core/signing-keys/operator-actions.ts';
import { NotReady } from '../../lib/errors.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ChangeSigningKeysDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
}

/** Requests a rotation of the signing keys. @throws InvalidAccessToken, InsufficientScope, NotReady */
export const makeRotateSigningKeys =
  ({ db, authorize, audit }: ChangeSigningKeysDeps) =>
  (principal: Principal, request: RequestInfo): Promise<Rotation[]> =>
    db.transaction(async (tx) => {
      await authorize(tx, principal, { scopes: ['keys:write'] });
      const rotations = await requestRotation(tx, audit, administrator(principal, request));
      if (rotations.length === 0) throw new NotReady('no next signing key');
      return rotations;
    });
