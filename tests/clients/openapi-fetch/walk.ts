// Calls the API with openapi-fetch and the types that openapi-typescript generates from openapi.yaml, without `any` and
// casts. `node walk.js BASE_URL EMAIL PASSWORD` prints one line per step.
import createClient from 'openapi-fetch';
import type { components, paths } from './keyturn.js';

type Problem = components['schemas']['Problem'];

/** The result of a call with openapi-fetch. `E` is the union of the documented errors of the operation. */
interface Result<Data, E extends Problem> {
  data?: Data;
  error?: E;
  response: Response;
}

function dataOf<Data>({ data, error, response }: Result<Data, Problem>): Data {
  if (data === undefined) throw new Error(`${response.url} returned ${response.status} ${error?.code}`);
  return data;
}

function errorOf<E extends Problem>({ error, response }: Result<unknown, E>): E {
  if (!error) throw new Error(`${response.url} returned ${response.status}`);
  return error;
}

/** Missing only with the cookie transport. */
function bodyOf({ refresh_token: token }: { refresh_token?: string }): { refresh_token: string } {
  if (token === undefined) throw new Error('The response has no refresh token.');
  return { refresh_token: token };
}

const print = (step: string, { status }: Response, details: object = {}) =>
  console.log(JSON.stringify({ step, status, ...details }));

async function walk(baseUrl: string, email: string, password: string): Promise<void> {
  const client = createClient<paths>({ baseUrl });
  const body = { email, password, display_name: 'Ada Lovelace' };

  const registration = await client.POST('/register', { body });
  const registered = dataOf(registration);
  // With EMAIL_VERIFICATION=required the response is 202 and contains no tokens.
  if (!('user' in registered)) throw new Error(registered.message);
  const { user, token_type, expires_in } = registered;
  const { display_name, roles } = user;
  print('register', registration.response, { email: user.email, display_name, roles, token_type, expires_in });

  const login = await client.POST('/login', { body: { email, password } });
  const tokens = dataOf(login);
  print('login', login.response, { session_is_new: tokens.session_id !== registered.session_id });

  const refresh = await client.POST('/refresh', { body: bodyOf(tokens) });
  const refreshed = dataOf(refresh);
  print('refresh', refresh.response, {
    refresh_token_is_new: refreshed.refresh_token !== tokens.refresh_token,
    session_is_same: refreshed.session_id === tokens.session_id,
  });

  client.use({
    onRequest({ request }) {
      request.headers.set('authorization', `${refreshed.token_type} ${refreshed.access_token}`);
    },
  });
  const me = await client.GET('/me');
  const { email: myEmail, mfa_enabled } = dataOf(me);
  print('me', me.response, { email: myEmail, mfa_enabled });

  const newest = await client.GET('/sessions', { params: { query: { limit: 1 } } });
  const { sessions, next_cursor: cursor } = dataOf(newest);
  const query = { limit: 1, ...(cursor === null ? {} : { cursor }) };
  const older = dataOf(await client.GET('/sessions', { params: { query } }));
  print('sessions', newest.response, {
    current: [...sessions, ...older.sessions].map(({ current }) => current),
    is_last_page: older.next_cursor === null,
  });

  const invalidRegistration = await client.POST('/register', { body: { ...body, password: 'short' } });
  const invalid = errorOf(invalidRegistration);
  if (invalid.code === 'validation_failed')
    print('invalid', invalidRegistration.response, {
      code: invalid.code,
      paths: (invalid.errors ?? []).map(({ path }) => path),
    });

  const logout = await client.POST('/logout', { body: bodyOf(refreshed) });
  print('logout', logout.response);

  const rejectedRefresh = await client.POST('/refresh', { body: bodyOf(refreshed) });
  const { code, reason } = errorOf(rejectedRefresh);
  if (code === 'invalid_refresh_token' && reason === 'revoked')
    print('refresh after logout', rejectedRefresh.response, { code, reason });

  const rejectedMe = await client.GET('/me');
  const unauthorized = errorOf(rejectedMe);
  if (unauthorized.code === 'invalid_access_token')
    print('me after logout', rejectedMe.response, { code: unauthorized.code });
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) throw new Error('BASE_URL EMAIL PASSWORD');
await walk(baseUrl, email, password);
