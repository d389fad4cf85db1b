import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { type Page, toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';
import type { RoleRow } from './roles.sql.ts';

export interface ListRolesDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

/** Lists roles by name, beginning after `cursor`. @throws InvalidAccessToken, InsufficientScope */
export const makeListRoles =
  ({ db, authorizeRead }: ListRolesDeps) =>
  async (principal: Principal, cursor: string | undefined, limit: number): Promise<Page<RoleRow>> => {
    await authorizeRead(db, principal, { scopes: ['roles:write'] });
    const rows = await db.role.findMany({
      where: cursor === undefined ? {} : { name: { gt: cursor } },
      orderBy: { name: 'asc' },
      take: limit + 1,
    });
    return toPage(rows, limit);
  };
