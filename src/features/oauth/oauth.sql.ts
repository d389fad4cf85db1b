import { isKeyOf } from '../../core/api-keys/api-keys.sql.ts';
import { isLiveApiKey, joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { ApiKeySubject } from '../../core/authorization/principal.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, sql } from '../../platform/sql.ts';

/**
 * The scopes of a live API key that its owner still holds. Unlike an authentication, it does not record a use of the key. SQL
 * because the database's clock decides.
 */
export const findApiKeyScopes = (
  tx: Transaction,
  subject: ApiKeySubject,
): Promise<{ scopes: string[]; emailVerified: boolean } | undefined> =>
  queryRow(
    tx,
    { scopes: column.textArray, emailVerified: column.boolean },
    sql`
    SELECT ARRAY(SELECT unnest(k.scopes) INTERSECT SELECT unnest(grants.scopes)) AS scopes,
           u.email_verified AS "emailVerified"
    FROM api_keys AS k JOIN users AS u ON u.id = k.user_id AND u.is_active ${joinGrants}
    WHERE ${isKeyOf(subject)} AND ${isLiveApiKey}`,
  );
