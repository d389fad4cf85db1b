import { sql, type SqlFragment } from '../../platform/postgres.ts';

/**
 * Joins what the roles of user `u` give, as `grants.roles` and `grants.scopes` (sorted, without repeats, null where
 * there are none): effective scopes come in the statement that needs them, and a change of role shows in the next.
 */
export const joinGrants: SqlFragment = sql`
  LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT role.name) AS roles, array_agg(DISTINCT scope) AS scopes
    FROM user_roles
    JOIN roles AS role ON role.name = user_roles.role
    LEFT JOIN LATERAL unnest(role.scopes) AS scope ON true
    WHERE user_roles.user_id = u.id
  ) AS grants ON true`;
