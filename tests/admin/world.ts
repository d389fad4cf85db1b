// Administrators of several kinds, and the reads and writes of the database in the tests of /admin.
import { type Account, password, startApp, type Settings, type StartOptions, type TestApp } from '../harness.ts';

export const adminScopes = 'audit:read keys:write roles:write tokens:introspect users:read users:write';

export interface Admin extends Account {
  /** An access token with every requested scope. */
  token: string;
}

export interface AdminWorld {
  app: TestApp;
  /** Creates an account with these roles besides `user` and logs it in with `scope`. */
  admin(roles?: string[], scope?: string): Promise<Admin>;
  /** Logs an account in again and returns the access token. */
  tokenOf(account: Pick<Account, 'email'>, scope: string): Promise<string>;
  defineRole(name: string, scopes: string[]): Promise<void>;
  grant(account: Pick<Account, 'user'>, role: string): Promise<void>;
  withdraw(account: Pick<Account, 'user'>, role: string): Promise<void>;
  rolesOf(account: Pick<Account, 'user'>): Promise<string[]>;
  /** Administrative events that concern an account, oldest first. */
  eventsOf(account: Pick<Account, 'user'>): Promise<{ type: string; actor_id: string | null; role: string | null }[]>;
  /** Takes the role `admin` from every account. */
  removeAdmins(): Promise<void>;
  close(): Promise<void>;
}

export async function startAdminWorld(settings: Settings = {}, options: StartOptions = {}): Promise<AdminWorld> {
  const app = await startApp(settings, options);
  const rows = async <Row>(sql: string, ...values: unknown[]) => (await app.sql.query(sql, values)).rows as Row[];
  const grant: AdminWorld['grant'] = async ({ user: { id } }, role) =>
    void (await rows('INSERT INTO user_roles (user_id, role) VALUES ($1, $2)', id, role));
  const tokenOf: AdminWorld['tokenOf'] = async ({ email }, scope) => {
    const response = await app.post('/login', { email, password, scope });
    if (response.status !== 200) throw new Error(`login: ${response.status} ${response.text}`);
    return (response.body as { access_token: string }).access_token;
  };
  return {
    app,
    tokenOf,
    grant,
    async admin(roles = ['admin'], scope = adminScopes) {
      const account = await app.register({ display_name: 'Grace Hopper' });
      for (const role of roles) await grant(account, role);
      return { ...account, token: await tokenOf(account, scope) };
    },
    async defineRole(name, scopes) {
      await rows(`INSERT INTO roles (name, description, scopes) VALUES ($1, '', $2)`, name, scopes);
    },
    async withdraw({ user: { id } }, role) {
      await rows('DELETE FROM user_roles WHERE user_id = $1 AND role = $2', id, role);
    },
    async rolesOf({ user: { id } }) {
      const held = await rows<{ role: string }>('SELECT role FROM user_roles WHERE user_id = $1 ORDER BY role', id);
      return held.map(({ role }) => role);
    },
    eventsOf: ({ user: { id } }) =>
      rows(
        `SELECT type, actor_id, role FROM audit_events
         WHERE user_id = $1 AND (type LIKE 'user.%' OR type LIKE 'role.%') ORDER BY occurred_at, id`,
        id,
      ),
    async removeAdmins() {
      await rows(`DELETE FROM user_roles WHERE role = 'admin'`);
    },
    close: () => app.close(),
  };
}
