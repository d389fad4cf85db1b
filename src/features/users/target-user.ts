import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import { type AuthorizedPrincipal, requireNotOutranked } from '../../core/authorization/rules.ts';
import { NotFound } from '../../core/errors.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import { findUser, type UserDetails } from './users.sql.ts';

/** The dependencies of every use case that changes a user. */
export interface ChangeUserDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
}

/** Loads the user that an authorized administrator changes. @throws NotFound, InsufficientScope */
export async function authorizeTargetUser(
  tx: Transaction,
  admin: AuthorizedPrincipal,
  id: UserId,
): Promise<UserDetails> {
  const user = await findUser(tx, id);
  if (!user) throw new NotFound('user');
  requireNotOutranked(admin, user);
  return user;
}
