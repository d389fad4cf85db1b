// Calls every operation, successfully and unsuccessfully, with a new account.
import { type Client, freshEmail, password, type TestApp } from '../harness.ts';
import { basic } from '../support/oauth.ts';
import type { Response } from 'supertest';

export const newPassword = 'a quieter mare and no battery';

export interface Stop {
  operation: string;
  response: Response;
}

/** Sent and received secrets that must not appear in a log or in another response. */
export interface Tour {
  stops: Stop[];
  secrets: string[];
}

/**
 * Puts `mark` into everything that a client chooses: query, path, headers, bodies. Follows the links of emails if
 * `nextEmail` is set, and continues as an administrator if `db` is given.
 */
export async function takeTour(
  { call, nextEmail, db }: Pick<Client, 'call'> & Partial<Pick<TestApp, 'nextEmail' | 'db'>>,
  mark: string,
): Promise<Tour> {
  const stops: Stop[] = [];
  const secrets: string[] = [];
  const visit = async (operation: string, ...[method, path, options = {}]: Parameters<Client['call']>) => {
    const headers = { cookie: `session=${mark}`, 'user-agent': mark, ...options.headers };
    const isFirst = !stops.some((stop) => stop.operation === operation);
    const response = await call(method, path, { ...options, headers });
    stops.push({ operation, response });
    // Refused before the handler, so it changes nothing.
    const unknown = `${path}?unknown=${mark}&access_token=${mark}`;
    if (isFirst) stops.push({ operation, response: await call(method, unknown, { ...options, headers }) });
    const body = response.body as Record<string, string | undefined>;
    for (const secret of [body['access_token'], body['refresh_token']]) if (secret) secrets.push(secret);
    return body;
  };

  const tokenFor = async (address: string) => {
    const { token = '' } = (await nextEmail?.(address)) ?? {};
    if (token) secrets.push(token);
    return { token };
  };

  const email = freshEmail();
  const account = { email, password, display_name: 'Ada Lovelace' };
  const ada = await visit('register', 'post', '/register', { body: account });
  await visit('verifyEmail', 'post', '/verify-email', { body: await tokenFor(email) });
  await visit('register', 'post', '/register', { body: account });
  await visit('register', 'post', '/register', { body: { ...account, email: mark, [mark]: mark } });

  await visit('login', 'post', '/login', { body: { email, password: `wrong ${mark}` } });
  await visit('login', 'post', '/login', { body: { email: `${mark}@example.com`, password } });
  await visit('login', 'post', '/login', { body: { email, password, scope: mark } });
  const narrow = await visit('login', 'post', '/login', { body: { email, password, scope: 'sessions' } });
  const second = await visit('login', 'post', '/login', { body: { email, password } });

  const turned = await visit('refresh', 'post', '/refresh', { body: { refresh_token: second['refresh_token'] } });
  await visit('refresh', 'post', '/refresh', { body: { refresh_token: mark } });
  await visit('refresh', 'post', `/refresh`, { body: { refresh_token: `${turned['refresh_token']}${mark}` } });

  const token = ada['access_token'];
  await visit('getMe', 'get', '/me', { token });
  await visit('getMe', 'get', '/me', {});
  await visit('getMe', 'get', '/me', { token: `${token}${mark}` });
  await visit('getMe', 'get', '/me', { token: narrow['access_token'] });
  await visit('updateMe', 'patch', '/me', { token, body: { display_name: `Ada ${mark}` } });
  await visit('updateMe', 'patch', '/me', { token, body: { display_name: '' } });
  const keys = (await visit('login', 'post', '/login', { body: { email, password, scope: 'profile api-keys' } }))[
    'access_token'
  ];
  const key = await visit('createApiKey', 'post', '/api-keys', {
    token: keys,
    body: { name: mark, scopes: ['profile'] },
  });
  secrets.push(key['client_secret'] ?? '');
  await visit('createApiKey', 'post', '/api-keys', { token: keys, body: { name: mark, scopes: [mark] } });
  await visit('listApiKeys', 'get', '/api-keys', { token: keys });
  await visit('getMe', 'get', '/me', { headers: { 'x-api-key': key['client_secret'] ?? '' } });
  await visit('getMe', 'get', '/me', { headers: { 'x-api-key': mark } });
  await visit('revokeApiKey', 'delete', `/api-keys/${key['id']}`, { token: keys });
  await visit('revokeApiKey', 'delete', `/api-keys/${mark}`, { token: keys });
  await visit('listSessions', 'get', '/sessions', { token });
  await visit('endSession', 'delete', `/sessions/${narrow['session_id']}`, { token });
  await visit('endSession', 'delete', `/sessions/${mark}`, { token });
  await visit('listAuditEvents', 'get', '/admin/audit', { token });

  const wrong = { current_password: `wrong ${mark}`, new_password: newPassword };
  await visit('changePassword', 'post', '/me/password', { token, body: wrong });
  await visit('changePassword', 'post', '/me/password', { token, body: { ...wrong, current_password: password } });
  const move = { new_email: freshEmail(), current_password: newPassword };
  await visit('changeEmail', 'post', '/me/email', { token, body: { ...move, current_password: mark } });
  await visit('changeEmail', 'post', '/me/email', { token, body: { ...move, new_email: email } });
  await visit('changeEmail', 'post', '/me/email', { token, body: move });
  const undoing = await tokenFor(email);
  await visit('verifyEmail', 'post', '/verify-email', { body: await tokenFor(move.new_email) });
  await visit('verifyEmail', 'post', '/verify-email', { body: { token: `kto_${mark}` } });
  await visit('undoEmailChange', 'post', '/undo-email-change', { body: { token: mark } });
  await visit('undoEmailChange', 'post', '/undo-email-change', { body: undoing });
  await tokenFor(email);
  await visit('resendVerification', 'post', '/verify-email/resend', { body: { email } });
  await visit('resendVerification', 'post', '/verify-email/resend', { body: { email: mark } });
  await visit('forgotPassword', 'post', '/forgot-password', { body: { email } });
  await visit('forgotPassword', 'post', '/forgot-password', { body: { email: `${mark}@example.com` } });
  await visit('resetPassword', 'post', '/reset-password', { body: { token: mark, new_password: `new ${mark}` } });
  await visit('resetPassword', 'post', '/reset-password', { body: { token: mark, new_password: 'short' } });
  const resetting = { ...(await tokenFor(email)), new_password: newPassword };
  await visit('resetPassword', 'post', '/reset-password', { body: resetting });
  await visit('logout', 'post', '/logout', { body: { refresh_token: turned['refresh_token'] } });
  await visit('logout', 'post', '/logout', { body: { refresh_token: mark } });
  const third = await visit('login', 'post', '/login', { body: { email, password: newPassword } });
  await visit('logoutAll', 'post', '/logout/all', { token });
  await visit('logoutAll', 'post', '/logout/all', { token: third['access_token'] });
  const last = await visit('login', 'post', '/login', { body: { email, password: newPassword } });
  await visit('deleteMe', 'post', '/me/delete', { token: last['access_token'], body: { current_password: mark } });
  await visit('deleteMe', 'post', '/me/delete', {
    token: last['access_token'],
    body: { current_password: newPassword },
  });

  const page = await call('post', '/register', { body: { ...account, email: freshEmail(), transport: 'cookie' } });
  const [setCookie = ''] = (page.headers['set-cookie'] ?? []) as unknown as string[];
  const cookie = setCookie.split(';')[0] ?? '';
  secrets.push(cookie.slice(cookie.indexOf('=') + 1));
  await visit('getCsrfToken', 'get', '/csrf', { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
  await visit('getCsrfToken', 'get', '/csrf', { headers: { cookie } });

  const form = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString();
  const oauth = (operation: string, parameters: Record<string, string>, headers: Record<string, string> = {}) => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const path = { requestToken: '/token', revokeToken: '/revoke', introspectToken: '/introspect' }[operation] ?? '';
    return visit(operation, 'post', path, { body: form(parameters), headers: { ...type, ...headers } });
  };
  const refreshing = { grant_type: 'refresh_token', refresh_token: secrets.at(-1) ?? '' };
  const granted = await oauth('requestToken', { ...refreshing, [mark]: mark });
  await oauth('requestToken', { ...refreshing, grant_type: mark });
  await oauth('requestToken', { ...refreshing, scope: mark });
  await oauth('requestToken', { ...refreshing, client_id: mark });
  await oauth('requestToken', { grant_type: 'password', username: `${mark}@example.com`, password: mark });
  await oauth('requestToken', { grant_type: 'client_credentials', client_id: mark, client_secret: mark });
  await oauth('introspectToken', { token: mark }, { authorization: `Basic ${mark}` });
  await oauth('introspectToken', { token: mark, client_id: mark, client_secret: mark });
  if (db) {
    const { body: asker } = await call('post', '/register', { body: { ...account, email: freshEmail() } });
    await db.roles.grant(asker, 'admin');
    const scope = 'api-keys tokens:introspect';
    const login = await call('post', '/login', { body: { email: asker.user.email, password, scope } });
    const wanted = { name: mark, scopes: ['tokens:introspect'] };
    const { body: key } = await call('post', '/api-keys', { token: login.body.access_token, body: wanted });
    secrets.push(key.client_secret);
    const asKey = basic(key.client_id, key.client_secret);
    await oauth('introspectToken', { token: granted['access_token'] ?? '', [mark]: mark }, asKey);
    await oauth('requestToken', { grant_type: 'client_credentials' }, asKey);
  }
  await oauth('revokeToken', { token: mark, token_type_hint: mark }, { 'x-api-key': mark });
  await oauth('revokeToken', { token: granted['refresh_token'] ?? '' });

  if (db) {
    const boss = { ...account, email: freshEmail() };
    const { id } = (await call('post', '/register', { body: boss })).body.user;
    await db.roles.grant(id, 'admin');
    const scope = 'audit:read keys:write roles:write users:read users:write';
    const { access_token: admin } = await visit('login', 'post', '/login', {
      body: { ...boss, display_name: undefined, scope },
    });
    await administer(visit, {
      admin,
      user: (await call('post', '/register', { body: { ...account, email: freshEmail() } })).body.user.id,
      mark,
      newKey: db.apiKeys.insert,
    });
  }

  await visit('getJwks', 'get', '/.well-known/jwks.json');
  await visit('getAuthorizationServerMetadata', 'get', '/.well-known/oauth-authorization-server');
  await visit('getOpenidConfiguration', 'get', '/.well-known/openid-configuration');
  await visit('getHealth', 'get', '/healthz');
  await visit('getReadiness', 'get', '/readyz');
  await visit('getOpenapiJson', 'get', '/openapi.json');
  await visit('getOpenapiYaml', 'get', '/openapi.yaml');
  await visit('getDocs', 'get', '/docs');
  await visit('getProblem', 'get', '/problems/not-found');
  await visit('getProblem', 'get', `/problems/${mark}`);
  return { stops, secrets: [...new Set([...secrets, password, newPassword])] };
}

type Visit = (operation: string, ...call: Parameters<Client['call']>) => Promise<Record<string, unknown>>;

interface AdministrationTour {
  /** An access token. */
  admin: string | undefined;
  /** The id of the user who is changed. */
  user: string;
  mark: string;
  /** Inserts an API key of a user. */
  newKey: (userId: string) => Promise<string>;
}

/** Calls every administrative operation. */
async function administer(visit: Visit, { admin: token, user, mark, newKey }: AdministrationTour): Promise<void> {
  await visit('listAuditEvents', 'get', '/admin/audit', { token });
  await visit('listUsers', 'get', '/admin/users', { token });
  await visit('getUser', 'get', `/admin/users/${user}`, { token });
  await visit('getUser', 'get', `/admin/users/${mark}`, { token });
  await visit('updateUser', 'patch', `/admin/users/${user}`, { token, body: { display_name: `Ada ${mark}` } });
  await visit('updateUser', 'patch', `/admin/users/${user}`, { token, body: { [mark]: mark } });
  await visit('listUserApiKeys', 'get', `/admin/users/${user}/api-keys`, { token });
  await visit('revokeUserApiKey', 'delete', `/admin/users/${user}/api-keys/${mark}`, { token });
  await visit('revokeUserApiKey', 'delete', `/admin/users/${user}/api-keys/${await newKey(user)}`, { token });
  await visit('logoutUser', 'post', `/admin/users/${user}/logout`, { token });
  await visit('logoutUser', 'post', `/admin/users/${user}/logout`, { token, body: { [mark]: mark } });
  await visit('unlockUser', 'post', `/admin/users/${user}/unlock`, { token });
  await visit('mailPasswordReset', 'post', `/admin/users/${user}/reset-password`, { token });
  await visit('deleteUser', 'delete', `/admin/users/${user}`, { token });
  await visit('listRoles', 'get', '/admin/roles', { token });
  await visit('createRole', 'post', '/admin/roles', {
    token,
    body: { name: 'editor', description: mark, scopes: [mark] },
  });
  await visit('createRole', 'post', '/admin/roles', { token, body: { name: 'editor', scopes: [] } });
  await visit('updateRole', 'patch', '/admin/roles/editor', { token, body: { scopes: [] } });
  await visit('deleteRole', 'delete', '/admin/roles/editor', { token });
  await visit('deleteRole', 'delete', '/admin/roles/admin', { token });
  const { keys = [] } = (await visit('listSigningKeys', 'get', '/admin/keys', { token })) as {
    keys?: { kid: string; status: string }[];
  };
  await visit('rotateSigningKeys', 'post', '/admin/keys/rotate', { token });
  const next = keys.find(({ status }) => status === 'next');
  await visit('revokeSigningKey', 'post', `/admin/keys/${next?.kid}/revoke`, { token });
}
