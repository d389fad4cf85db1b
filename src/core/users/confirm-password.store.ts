import type { Principal } from '../authorization/principal.ts';
import type { Database } from '../../platform/postgres.ts';
import type { EmailAddress } from './email-address.ts';
import { isCaller } from '../authorization/caller.store.ts';

/** The account behind a live session, with the hash to check its password against. */
export interface OwnAccount {
  email: EmailAddress;
  displayName: string;
  passwordHash: string;
}

export async function findOwnAccount(db: Database, principal: Principal): Promise<OwnAccount | undefined> {
  const [row] = await db.$queryRaw<OwnAccount[]>`
    SELECT u.email, u.display_name AS "displayName", u.password_hash AS "passwordHash"
    FROM users AS u WHERE ${isCaller(principal)}`;
  return row;
}
