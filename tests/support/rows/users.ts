// Rows of users, roles and API keys.
import { type ApiKeyRef, apiKeyIdOf, type UserRef, userIdOf } from './refs.ts';
import type { Sql } from './sql.ts';

export interface UserRow {
  id: string;
  email: string;
  display_name: string;
  password_hash: string;
  email_verified: boolean;
  is_active: boolean;
}

const columns = 'id, email, display_name, password_hash, email_verified, is_active';

export const userRows = (sql: Sql) => ({
  /** @throws if the user does not exist */
  get: (user: UserRef) => sql.one<UserRow>(`SELECT ${columns} FROM users WHERE id = $1`, [userIdOf(user)]),
  byEmail: async (email: string): Promise<UserRow | undefined> =>
    (await sql.rows<UserRow>(`SELECT ${columns} FROM users WHERE email = $1`, [email]))[0],
  /** Users with these email addresses, ordered by email address. */
  byEmails: (emails: readonly string[]) =>
    sql.rows<UserRow>(`SELECT ${columns} FROM users WHERE email = ANY($1) ORDER BY email`, [emails]),
  /** Inserts a user that cannot log in: its password hash is not a hash. */
  insert: async (email: string, displayName = 'Ada Lovelace'): Promise<string> =>
    (
      await sql.one<{ id: string }>(
        `INSERT INTO users (id, email, display_name, password_hash) VALUES (gen_random_uuid(), $1, $2, '!') RETURNING id`,
        [email, displayName],
      )
    ).id,
  disable: (user: UserRef) => sql.run('UPDATE users SET is_active = false WHERE id = $1', [userIdOf(user)]),
  enable: (user: UserRef) => sql.run('UPDATE users SET is_active = true WHERE id = $1', [userIdOf(user)]),
  markVerified: (user: UserRef) => sql.run('UPDATE users SET email_verified = true WHERE id = $1', [userIdOf(user)]),
  markUnverified: (user: UserRef) => sql.run('UPDATE users SET email_verified = false WHERE id = $1', [userIdOf(user)]),
  setDisplayName: (user: UserRef, name: string) =>
    sql.run('UPDATE users SET display_name = $2 WHERE id = $1', [userIdOf(user), name]),
  setPasswordHash: (user: UserRef, hash: string) =>
    sql.run('UPDATE users SET password_hash = $2 WHERE id = $1', [userIdOf(user), hash]),
  passwordHash: async (user: UserRef): Promise<string> =>
    (await sql.one<UserRow>(`SELECT ${columns} FROM users WHERE id = $1`, [userIdOf(user)])).password_hash,
  /** Moves the user's registration back, as if `seconds` had passed. */
  age: (user: UserRef, seconds: number) =>
    sql.run('UPDATE users SET created_at = created_at - make_interval(secs => $2) WHERE id = $1', [
      userIdOf(user),
      seconds,
    ]),
  /** Deletes the user, and everything that the database deletes with it. */
  remove: (user: UserRef) => sql.run('DELETE FROM users WHERE id = $1', [userIdOf(user)]),
  /** Locks the row until the transaction of the connection ends. */
  lock: (user: UserRef) => sql.rows('SELECT FROM users WHERE id = $1 FOR UPDATE', [userIdOf(user)]),
});

export const roleRows = (sql: Sql) => ({
  define: (name: string, scopes: readonly string[], description = '') =>
    sql.run('INSERT INTO roles (name, description, scopes) VALUES ($1, $2, $3)', [name, description, scopes]),
  /** Every role, ordered by name. */
  all: () =>
    sql.rows<{ name: string; scopes: string[]; built_in: boolean }>(
      'SELECT name, scopes, built_in FROM roles ORDER BY name',
    ),
  grant: (user: UserRef, role: string) =>
    sql.run('INSERT INTO user_roles (user_id, role) VALUES ($1, $2)', [userIdOf(user), role]),
  /** Removes one role from a user; all roles if `role` is missing. */
  take: (user: UserRef, role?: string) =>
    sql.run('DELETE FROM user_roles WHERE user_id = $1 AND role = COALESCE($2, role)', [userIdOf(user), role]),
  /** Removes a role from every user. */
  removeFromAll: (role: string) => sql.run('DELETE FROM user_roles WHERE role = $1', [role]),
  /** Names of the user's roles, ordered by name. */
  of: async (user: UserRef): Promise<string[]> =>
    (
      await sql.rows<{ role: string }>('SELECT role FROM user_roles WHERE user_id = $1 ORDER BY role', [userIdOf(user)])
    ).map(({ role }) => role),
  /** Number of active users with the role. */
  activeHolders: async (role: string): Promise<number> =>
    (
      await sql.one<{ n: number }>(
        `SELECT count(*)::int AS n FROM users AS u JOIN user_roles AS r ON r.user_id = u.id WHERE role = $1 AND is_active`,
        [role],
      )
    ).n,
});

export const apiKeyRows = (sql: Sql) => ({
  /** Inserts a key without a usable secret, and returns its id. */
  insert: async (user: UserRef): Promise<string> =>
    (
      await sql.one<{ id: string }>(
        `INSERT INTO api_keys (id, user_id, name, scopes, secret_hash)
         VALUES (gen_random_uuid(), $1, 'x', '{}', '') RETURNING id`,
        [userIdOf(user)],
      )
    ).id,
  expire: (key: ApiKeyRef) =>
    sql.run('UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1', [apiKeyIdOf(key)]),
  /** Removes the expiry. */
  neverExpire: (key: ApiKeyRef) => sql.run('UPDATE api_keys SET expires_at = NULL WHERE id = $1', [apiKeyIdOf(key)]),
  setScopes: (key: ApiKeyRef, scopes: readonly string[]) =>
    sql.run('UPDATE api_keys SET scopes = $2 WHERE id = $1', [apiKeyIdOf(key), scopes]),
  /** Sets when the key's access tokens were last revoked, in seconds from now. */
  setTokenEpoch: (key: ApiKeyRef, inSeconds: number) =>
    sql.run(
      `UPDATE api_keys SET tokens_from = date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => $2) WHERE id = $1`,
      [apiKeyIdOf(key), inSeconds],
    ),
  remove: (key: ApiKeyRef) => sql.run('DELETE FROM api_keys WHERE id = $1', [apiKeyIdOf(key)]),
  /** Id of the user who owns the key. */
  ownerOf: async (key: ApiKeyRef): Promise<string> =>
    (await sql.one<{ user_id: string }>('SELECT user_id FROM api_keys WHERE id = $1', [apiKeyIdOf(key)])).user_id,
});
