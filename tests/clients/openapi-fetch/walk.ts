// What a user of the API writes: types that openapi-typescript made of openapi.yaml, calls by openapi-fetch, and neither
// an `any` nor a cast. `node walk.js BASE_URL EMAIL PASSWORD` prints what it met, a step a line.
import createClient from 'openapi-fetch';
import type { components, paths } from './keyturn.js';

type Problem = components['schemas']['Problem'];

/** What openapi-fetch resolves with; `Fault` is every problem that the operation declares. */
interface Answer<Data, Fault extends Problem> {
  data?: Data;
  error?: Fault;
  response: Response;
}

function granted<Data>({ data, error, response }: Answer<Data, Problem>): Data {
  if (data === undefined) throw new Error(`${response.url} answered ${response.status} ${error?.code}`);
  return data;
}

function refused<Fault extends Problem>({ error, response }: Answer<unknown, Fault>): Fault {
  if (!error) throw new Error(`${response.url} answered ${response.status}`);
  return error;
}

/** Left out of an answer only where it travels in a cookie. */
function bodyOf({ refresh_token: token }: { refresh_token?: string }): { refresh_token: string } {
  if (token === undefined) throw new Error('an answer without a refresh token');
  return { refresh_token: token };
}

const print = (step: string, { status }: Response, seen: object = {}) =>
  console.log(JSON.stringify({ step, status, ...seen }));

async function walk(baseUrl: string, email: string, password: string): Promise<void> {
  const client = createClient<paths>({ baseUrl });
  const body = { email, password, display_name: 'Ada Lovelace' };

  const registration = await client.POST('/register', { body });
  const registered = granted(registration);
  // With EMAIL_VERIFICATION=required the answer is 202, and nobody is logged in.
  if (!('user' in registered)) throw new Error(registered.message);
  const { user, token_type, expires_in } = registered;
  const { display_name, roles } = user;
  print('register', registration.response, { email: user.email, display_name, roles, token_type, expires_in });

  const login = await client.POST('/login', { body: { email, password } });
  const tokens = granted(login);
  print('login', login.response, { session_is_new: tokens.session_id !== registered.session_id });

  const refresh = await client.POST('/refresh', { body: bodyOf(tokens) });
  const refreshed = granted(refresh);
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
  const { email: myEmail, mfa_enabled } = granted(me);
  print('me', me.response, { email: myEmail, mfa_enabled });

  const newest = await client.GET('/sessions', { params: { query: { limit: 1 } } });
  const { sessions, next_cursor: cursor } = granted(newest);
  const query = { limit: 1, ...(cursor === null ? {} : { cursor }) };
  const older = granted(await client.GET('/sessions', { params: { query } }));
  print('sessions', newest.response, {
    current: [...sessions, ...older.sessions].map(({ current }) => current),
    is_last_page: older.next_cursor === null,
  });

  const registrationAgain = await client.POST('/register', { body: { ...body, password: 'short' } });
  const invalid = refused(registrationAgain);
  if (invalid.code === 'validation_failed')
    print('invalid', registrationAgain.response, {
      code: invalid.code,
      paths: (invalid.errors ?? []).map(({ path }) => path),
    });

  const logout = await client.POST('/logout', { body: bodyOf(refreshed) });
  print('logout', logout.response);

  const ended = await client.POST('/refresh', { body: bodyOf(refreshed) });
  const { code, reason } = refused(ended);
  if (code === 'invalid_refresh_token' && reason === 'revoked')
    print('refresh after logout', ended.response, { code, reason });

  const stranger = await client.GET('/me');
  const unknown = refused(stranger);
  if (unknown.code === 'invalid_access_token') print('me after logout', stranger.response, { code: unknown.code });
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) throw new Error('BASE_URL EMAIL PASSWORD');
await walk(baseUrl, email, password);
