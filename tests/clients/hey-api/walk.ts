// Calls the API with the functions that @hey-api/openapi-ts generates from openapi.yaml: `node walk.js BASE_URL EMAIL PASSWORD`.
import { createClient } from './keyturn/client/index.js';
import { getMe, listSessions, login, logout, type Problem, refresh, register } from './keyturn/index.js';

/** The result of each function. */
interface Result<Data, E> {
  data?: Data | undefined;
  error?: E | undefined;
  /** Missing if there was no response. */
  response?: Response;
}

function dataOf<Data>({ data, error, response }: Result<Data, Problem>): NonNullable<Data> {
  if (data === undefined || data === null) throw new Error(`${response?.url} returned ${error?.code ?? 'nothing'}`);
  return data;
}

function errorOf<E>({ error, response }: Result<unknown, E>): NonNullable<E> {
  if (error === undefined || error === null) throw new Error(`${response?.url} returned ${response?.status}`);
  return error;
}

/** Missing only with the cookie transport. */
function bodyOf({ refresh_token: token }: { refresh_token?: string }): { refresh_token: string } {
  if (token === undefined) throw new Error('The response has no refresh token.');
  return { refresh_token: token };
}

const print = (step: string, { response }: Result<unknown, unknown>, details: object = {}) =>
  console.log(JSON.stringify({ step, status: response?.status, ...details }));

async function walk(baseUrl: string, email: string, password: string): Promise<void> {
  let accessToken = '';
  // The client calls `auth` only for operations that support authentication.
  const client = createClient({ baseUrl, auth: ({ scheme }) => (scheme === 'bearer' ? accessToken : undefined) });
  const body = { email, password, display_name: 'Ada Lovelace' };

  const registration = await register({ client, body });
  const registered = dataOf(registration);
  if (!('user' in registered)) throw new Error(registered.message);
  const { user, token_type, expires_in } = registered;
  const { display_name, roles } = user;
  print('register', registration, { email: user.email, display_name, roles, token_type, expires_in });

  const loggedIn = await login({ client, body: { email, password } });
  const tokens = dataOf(loggedIn);
  print('login', loggedIn, { session_is_new: tokens.session_id !== registered.session_id });

  const refreshResult = await refresh({ client, body: bodyOf(tokens) });
  const refreshed = dataOf(refreshResult);
  print('refresh', refreshResult, {
    refresh_token_is_new: refreshed.refresh_token !== tokens.refresh_token,
    session_is_same: refreshed.session_id === tokens.session_id,
  });

  accessToken = refreshed.access_token;
  const me = await getMe({ client });
  const { email: myEmail, mfa_enabled } = dataOf(me);
  print('me', me, { email: myEmail, mfa_enabled });

  const newest = await listSessions({ client, query: { limit: 1 } });
  const { sessions, next_cursor: cursor } = dataOf(newest);
  const older = dataOf(await listSessions({ client, query: { limit: 1, ...(cursor === null ? {} : { cursor }) } }));
  print('sessions', newest, {
    current: [...sessions, ...older.sessions].map(({ current }) => current),
    is_last_page: older.next_cursor === null,
  });

  const invalidRegistration = await register({ client, body: { ...body, password: 'short' } });
  const invalid = errorOf(invalidRegistration);
  if (invalid.code === 'validation_failed')
    print('invalid', invalidRegistration, {
      code: invalid.code,
      paths: (invalid.errors ?? []).map(({ path }) => path),
    });

  print('logout', await logout({ client, body: bodyOf(refreshed) }));

  const rejectedRefresh = await refresh({ client, body: bodyOf(refreshed) });
  const { code, reason } = errorOf(rejectedRefresh);
  if (code === 'invalid_refresh_token' && reason === 'revoked')
    print('refresh after logout', rejectedRefresh, { code, reason });

  const rejectedMe = await getMe({ client });
  const unauthorized = errorOf(rejectedMe);
  if (unauthorized.code === 'invalid_access_token') print('me after logout', rejectedMe, { code: unauthorized.code });
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) throw new Error('BASE_URL EMAIL PASSWORD');
await walk(baseUrl, email, password);
