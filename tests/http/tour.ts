// One walk through every operation, its successes and its failures, in an account of its own.
import { type Client, freshEmail, password, type TestApp } from '../harness.ts';
import type { Response } from 'supertest';

export const newPassword = 'a quieter mare and no battery';

export interface Stop {
  operation: string;
  response: Response;
}

/** What was sent and given that must never be seen again: in a log, or in another answer. */
export interface Tour {
  stops: Stop[];
  secrets: string[];
}

/**
 * `mark` goes into everything that a stranger chooses: query, path, headers, bodies. Where mails can be read, it follows
 * their links.
 */
export async function takeTour(
  { call, nextMail }: Pick<Client, 'call'> & Partial<Pick<TestApp, 'nextMail'>>,
  mark: string,
): Promise<Tour> {
  const stops: Stop[] = [];
  const secrets: string[] = [];
  const visit = async (operation: string, ...[method, path, options = {}]: Parameters<Client['call']>) => {
    const headers = { cookie: `session=${mark}`, 'user-agent': mark, ...options.headers };
    const response = await call(method, `${path}?mark=${mark}&access_token=${mark}`, { ...options, headers });
    stops.push({ operation, response });
    const body = response.body as Record<string, string | undefined>;
    for (const secret of [body['access_token'], body['refresh_token']]) if (secret) secrets.push(secret);
    return body;
  };

  const tokenFor = async (address: string) => {
    const { token = '' } = (await nextMail?.(address)) ?? {};
    if (token) secrets.push(token);
    return { token };
  };

  const email = freshEmail();
  const account = { email, password, display_name: 'Ada Lovelace' };
  const ada = await visit('register', 'post', '/register', { body: account });
  await tokenFor(email);
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
