import type { Caller } from '../../http/authenticate.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Email } from '../users/email.ts';
import { isCaller } from './caller.store.ts';

/** The account behind a live session, with the hash to check its password against. */
export interface OwnAccount {
  email: Email;
  displayName: string;
  passwordHash: string;
}

export async function findOwnAccount(db: Database, caller: Caller): Promise<OwnAccount | undefined> {
  const [row] = await db.$queryRaw<OwnAccount[]>`
    SELECT u.email, u.display_name AS "displayName", u.password_hash AS "passwordHash"
    FROM users AS u WHERE ${isCaller(caller)}`;
  return row;
}
