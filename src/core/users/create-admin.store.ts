import type { UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import { recordByOperator } from '../audit/audit.store.ts';
import type { EmailAddress } from './email-address.ts';
import { adminRole } from '../authorization/rules.ts';
import { lockGrants } from '../authorization/authorization.sql.ts';

export interface NewAdmin {
  id: UserId;
  email: EmailAddress;
  displayName: string;
  createUnusableHash: string;
  /** Whether the account may be one whose address nobody has confirmed: anybody can have registered it. */
  mayBeUnverified: boolean;
}

/** Its link leads to where a password is set; undefined where the account has one. */
interface MadeAdmin {
  kind: 'made' | 'granted' | 'already';
  link: string | undefined;
}

export type AdminOutcome = MadeAdmin | { kind: 'disabled' } | { kind: 'reserved' } | { kind: 'unverified' };

interface Found {
  id: UserId;
  isActive: boolean;
  hasPassword: boolean;
  /** Whoever knows the password has shown that the address is theirs; or is an administrator anyway. */
  isKnown: boolean;
}

/** The account with an address, made where there is none; undefined where the address is kept for another's undo link. */
async function findOrMake(tx: Transaction, admin: NewAdmin): Promise<Found | undefined> {
  const { id, email, displayName, createUnusableHash } = admin;
  const made = await tx.$executeRaw`
    INSERT INTO users (id, email, display_name, password_hash)
    SELECT ${id}::uuid, ${email}, ${displayName}, ${createUnusableHash}
    WHERE NOT EXISTS (
      SELECT FROM one_time_tokens AS t
      WHERE t.purpose = 'email_undo' AND t.email = ${email} AND clock_timestamp() < t.expires_at)
    ON CONFLICT (email) DO NOTHING`;
  if (made > 0) {
    await tx.$executeRaw`INSERT INTO user_roles (user_id, role) VALUES (${id}::uuid, 'user')`;
    await recordByOperator(tx, 'user.created', { userId: id });
  }
  const [found] = await tx.$queryRaw<Found[]>`
    SELECT id, is_active AS "isActive", NOT starts_with(password_hash, '!') AS "hasPassword",
           email_verified OR EXISTS (SELECT FROM user_roles WHERE user_id = id AND role = ${adminRole}) AS "isKnown"
    FROM users WHERE email = ${email} FOR NO KEY UPDATE`;
  return found;
}

/** An administrator with an address, of whom `issueLink` makes a link where they have no password yet. */
export const makeAdmin = (
  db: Database,
  admin: NewAdmin,
  issueLink: (tx: Transaction, id: UserId) => Promise<string>,
): Promise<AdminOutcome> =>
  db.$transaction(async (tx) => {
    const found = await findOrMake(tx, admin);
    if (!found) return { kind: 'reserved' };
    const { id, isActive, hasPassword, isKnown } = found;
    if (!isActive) return { kind: 'disabled' };
    if (hasPassword && !isKnown && !admin.mayBeUnverified) return { kind: 'unverified' };
    await lockGrants(tx);
    const granted = await tx.$executeRaw`
      INSERT INTO user_roles (user_id, role) VALUES (${id}::uuid, ${adminRole}) ON CONFLICT DO NOTHING`;
    if (granted > 0) await recordByOperator(tx, 'role.granted', { userId: id, role: adminRole });
    const link = hasPassword ? undefined : await issueLink(tx, id);
    if (id === admin.id) return { kind: 'made', link };
    return { kind: granted > 0 ? 'granted' : 'already', link };
  });
