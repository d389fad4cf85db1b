// A valid request for each operation, on resources of one account. docs/authorization.md states who has access.
import { randomBytes } from 'node:crypto';
import { type Account, freshEmail, password, type TestApp } from '../harness.ts';

/** The account whose resources a call accesses. */
export interface Owner extends Account {
  apiKey: { id: string; client_id: string; client_secret: string };
}

export interface Call {
  /** Replaces the operation's own path. */
  path?: string;
  body?: object | string;
  headers?: Record<string, string>;
}

const form = (parameters: Record<string, string>): Call => ({
  body: new URLSearchParams(parameters).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});

/** Creates the resources that a call needs. */
const create = {
  async link(app: TestApp, email: string, requestPath?: string): Promise<string> {
    if (requestPath !== undefined) {
      await app.emails();
      await app.post(requestPath, { email });
    }
    return (await app.nextEmail(email)).token ?? '';
  },
  async undoLink(app: TestApp, { email, user, access_token: token }: Owner): Promise<string> {
    await app.nextEmail(email);
    await app.db.users.markVerified(user.id);
    await app.post('/me/email', { new_email: freshEmail(), current_password: password }, token);
    return create.link(app, email);
  },
  async cookie(app: TestApp): Promise<Record<string, string>> {
    const body = { email: freshEmail(), password, display_name: 'Ada', transport: 'cookie' };
    const { headers } = await app.post('/register', body);
    const [cookie = ''] = (headers['set-cookie'] ?? []) as unknown as string[];
    return { cookie: cookie.split(';')[0] ?? '', 'sec-fetch-site': 'same-origin' };
  },
  async role(app: TestApp): Promise<string> {
    const name = `r${randomBytes(6).toString('hex')}`;
    await app.db.roles.define(name, []);
    return `/admin/roles/${name}`;
  },
  kid(app: TestApp): Promise<string> {
    return app.db.signingKeys.kid('next');
  },
};

const confirmed = { current_password: password };
const next = 'a quieter mare and no battery';

export const recipes: Record<string, (owner: Owner, app: TestApp) => Call | Promise<Call>> = {
  register: () => ({ body: { email: freshEmail(), password, display_name: 'Ada' } }),
  login: ({ email }) => ({ body: { email, password } }),
  refresh: ({ refresh_token: token }) => ({ body: { refresh_token: token } }),
  logout: ({ refresh_token: token }) => ({ body: { refresh_token: token } }),
  logoutAll: () => ({}),
  getCsrfToken: async (_, app) => ({ headers: await create.cookie(app) }),
  getMe: () => ({}),
  updateMe: () => ({ body: { display_name: 'Ada King' } }),
  changePassword: () => ({ body: { ...confirmed, new_password: next } }),
  changeEmail: () => ({ body: { ...confirmed, new_email: freshEmail() } }),
  deleteMe: () => ({ body: confirmed }),
  verifyEmail: async ({ email }, app) => ({ body: { token: await create.link(app, email) } }),
  resendVerification: ({ email }) => ({ body: { email } }),
  forgotPassword: ({ email }) => ({ body: { email } }),
  resetPassword: async ({ email }, app) => ({
    body: { token: await create.link(app, email, '/forgot-password'), new_password: next },
  }),
  undoEmailChange: async (owner, app) => ({ body: { token: await create.undoLink(app, owner) } }),
  listSessions: () => ({}),
  endSession: ({ session_id: id }) => ({ path: `/sessions/${id}` }),
  listApiKeys: () => ({}),
  createApiKey: () => ({ body: { name: 'Nightly report', scopes: ['profile'] } }),
  revokeApiKey: ({ apiKey }) => ({ path: `/api-keys/${apiKey.id}` }),
  requestToken: ({ apiKey: { client_id, client_secret } }) =>
    form({ grant_type: 'client_credentials', client_id, client_secret }),
  revokeToken: ({ refresh_token: token }) => form({ token }),
  introspectToken: ({ access_token: token }) => form({ token }),
  listAuditEvents: () => ({}),
  listUsers: () => ({}),
  getUser: ({ user }) => ({ path: `/admin/users/${user.id}` }),
  updateUser: ({ user }) => ({ path: `/admin/users/${user.id}`, body: { is_active: false } }),
  deleteUser: ({ user }) => ({ path: `/admin/users/${user.id}` }),
  logoutUser: ({ user }) => ({ path: `/admin/users/${user.id}/logout` }),
  unlockUser: ({ user }) => ({ path: `/admin/users/${user.id}/unlock` }),
  listUserApiKeys: ({ user }) => ({ path: `/admin/users/${user.id}/api-keys` }),
  revokeUserApiKey: ({ user, apiKey }) => ({ path: `/admin/users/${user.id}/api-keys/${apiKey.id}` }),
  mailPasswordReset: ({ user }) => ({ path: `/admin/users/${user.id}/reset-password` }),
  listRoles: () => ({}),
  createRole: () => ({ body: { name: `r${randomBytes(6).toString('hex')}`, scopes: [] } }),
  updateRole: async (_, app) => ({ path: await create.role(app), body: { description: 'Changed' } }),
  deleteRole: async (_, app) => ({ path: await create.role(app) }),
  listSigningKeys: () => ({}),
  rotateSigningKeys: () => ({}),
  revokeSigningKey: async (_, app) => ({ path: `/admin/keys/${await create.kid(app)}/revoke` }),
  getJwks: () => ({}),
  getAuthorizationServerMetadata: () => ({}),
  getOpenidConfiguration: () => ({}),
  getHealth: () => ({}),
  getReadiness: () => ({}),
  getOpenapiJson: () => ({}),
  getOpenapiYaml: () => ({}),
  getDocs: () => ({}),
  getProblem: () => ({}),
};
