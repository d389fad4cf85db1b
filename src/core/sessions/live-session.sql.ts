// Every statement that creates, rotates or reads a session returns these columns. Tokens are made of them.
import type { SessionId, UserId } from '../../lib/ids.ts';
import { column, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';

export const liveSessionColumns = {
  id: column.uuid<SessionId>(),
  userId: column.uuid<UserId>(),
  clientId: column.text(),
  /** Seconds since the epoch. */
  authTime: column.integer,
  amr: column.textArray,
  emailVerified: column.boolean,
  roles: column.textArray,
  /** The union of the scopes of the user's roles, sorted. */
  heldScopes: column.textArray,
  /** The scope that the login requested; null if it requested none. */
  requestedScope: column.nullable(column.text()),
  refreshExpiresInSeconds: column.integer,
};
export type LiveSession = RowOf<typeof liveSessionColumns>;

/** Selects the columns from session `s` of user `u` with their joined `grants`. */
export const liveSessionFields: SqlFragment = sql`
  s.id, s.user_id AS "userId", s.client_id AS "clientId", FLOOR(EXTRACT(EPOCH FROM s.auth_time))::int AS "authTime",
  s.amr, u.email_verified AS "emailVerified", COALESCE(grants.roles, '{}') AS roles,
  COALESCE(grants.scopes, '{}') AS "heldScopes", s.scope AS "requestedScope",
  FLOOR(EXTRACT(EPOCH FROM LEAST(s.expires_at, s.absolute_expires_at) - clock_timestamp()))::int AS "refreshExpiresInSeconds"`;
