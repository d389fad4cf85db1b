// Accounts of every kind, over HTTP where the service offers it. `startApp()` and `startWorkers()` provide them:
//
//   const account = await app.register();                     // active, not verified, role `user`, logged in
//   const admin = await app.admin();                          // role `admin`, `admin.token` has every admin scope
//   const editor = await app.userWithRole('editor', ['posts:write']); // also defines the role
//   const disabled = await app.disabledUser();
//   const token = await app.tokenOf(account, 'sessions');     // another login with this scope
//   const key = await app.apiKeyOf(account, ['profile']);
//
// Anything else that a test must find or change in the database is in `app.db`: see rows/index.ts.
import type { Account, Client } from '../harness.ts';
import { password } from './password.ts';
import type { Rows } from './rows/index.ts';

export const adminScopes = 'audit:read keys:write roles:write tokens:introspect users:read users:write';

export interface Admin extends Account {
  /** An access token with every requested scope. */
  token: string;
}

export interface AdminOptions {
  /** Besides `user`. */
  roles?: readonly string[];
  /** Scope of the login. */
  scope?: string;
}

export interface ApiKey {
  id: string;
  client_id: string;
  client_secret: string;
}

export function makeBuilders({ register, call }: Pick<Client, 'register' | 'call'>, db: Rows) {
  /** Logs in with this scope and returns the access token. */
  const tokenOf = async ({ email }: Pick<Account, 'email'>, scope: string): Promise<string> => {
    const response = await call('post', '/login', { body: { email, password, scope } });
    if (response.status !== 200) throw new Error(`login: ${response.status} ${response.text}`);
    return (response.body as { access_token: string }).access_token;
  };

  /** Creates an account with these roles, and logs it in with this scope. */
  const admin = async ({ roles = ['admin'], scope = adminScopes }: AdminOptions = {}): Promise<Admin> => {
    const account = await register({ display_name: 'Grace Hopper' });
    for (const role of roles) await db.roles.grant(account, role);
    return { ...account, token: await tokenOf(account, scope) };
  };

  return {
    tokenOf,
    admin,
    /** Creates an account with a role besides `user`. Defines the role first if `scopes` are given. Log in for new scopes. */
    async userWithRole(role: string, scopes?: readonly string[]): Promise<Account> {
      if (scopes) await db.roles.define(role, scopes);
      const account = await register();
      await db.roles.grant(account, role);
      return account;
    },
    /** Creates an account with a session, then disables it. */
    async disabledUser(): Promise<Account> {
      const account = await register();
      await db.users.disable(account);
      return account;
    },
    /** Creates an account whose email address is verified. */
    async verifiedUser(): Promise<Account> {
      const account = await register();
      await db.users.markVerified(account);
      return account;
    },
    /** Creates an account with a session, then deletes it. */
    async deletedUser(): Promise<Account> {
      const account = await register();
      await db.users.remove(account);
      return account;
    },
    /** Creates an API key of the account, which must have the scopes. */
    async apiKeyOf(
      account: Pick<Account, 'email'>,
      scopes: readonly string[],
      options: Record<string, unknown> = {},
    ): Promise<ApiKey> {
      const token = await tokenOf(account, ['api-keys', ...scopes].join(' '));
      const response = await call('post', '/api-keys', { token, body: { name: 'Test', scopes, ...options } });
      if (response.status !== 201) throw new Error(`api-keys: ${response.status} ${response.text}`);
      return response.body as ApiKey;
    },
  };
}

export type Builders = ReturnType<typeof makeBuilders>;
