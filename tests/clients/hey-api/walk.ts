// The walk by the functions that @hey-api/openapi-ts made of openapi.yaml: `node walk.js BASE_URL EMAIL PASSWORD`.
import { createClient } from './keyturn/client/index.js';
import { getMe, listSessions, login, logout, type Problem, refresh, register } from './keyturn/index.js';

/** What each function resolves with. */
interface Answer<Data, Fault> {
  data?: Data | undefined;
  error?: Fault | undefined;
  /** Absent where no answer came at all. */
  response?: Response;
}

function granted<Data>({ data, error, response }: Answer<Data, Problem>): NonNullable<Data> {
  if (data === undefined || data === null) throw new Error(`${response?.url} answered ${error?.code ?? 'nothing'}`);
  return data;
}

function refused<Fault>({ error, response }: Answer<unknown, Fault>): NonNullable<Fault> {
  if (error === undefined || error === null) throw new Error(`${response?.url} answered ${response?.status}`);
  return error;
}

/** Left out of an answer only where it travels in a cookie. */
function bodyOf({ refresh_token: token }: { refresh_token?: string }): { refresh_token: string } {
  if (token === undefined) throw new Error('an answer without a refresh token');
  return { refresh_token: token };
}

const print = (step: string, { response }: Answer<unknown, unknown>, seen: object = {}) =>
  console.log(JSON.stringify({ step, status: response?.status, ...seen }));

async function walk(baseUrl: string, email: string, password: string): Promise<void> {
  let accessToken = '';
  // Called for the operations alone that may take it.
  const client = createClient({ baseUrl, auth: ({ scheme }) => (scheme === 'bearer' ? accessToken : undefined) });
  const body = { email, password, display_name: 'Ada Lovelace' };

  const registration = await register({ client, body });
  const registered = granted(registration);
  if (!('user' in registered)) throw new Error(registered.message);
  const { user, token_type, expires_in } = registered;
  const { display_name, roles } = user;
  print('register', registration, { email: user.email, display_name, roles, token_type, expires_in });

  const loggedIn = await login({ client, body: { email, password } });
  const tokens = granted(loggedIn);
  print('login', loggedIn, { session_is_new: tokens.session_id !== registered.session_id });

  const traded = await refresh({ client, body: bodyOf(tokens) });
  const refreshed = granted(traded);
  print('refresh', traded, {
    refresh_token_is_new: refreshed.refresh_token !== tokens.refresh_token,
    session_is_same: refreshed.session_id === tokens.session_id,
  });

  accessToken = refreshed.access_token;
  const me = await getMe({ client });
  const { email: myEmail, mfa_enabled } = granted(me);
  print('me', me, { email: myEmail, mfa_enabled });

  const newest = await listSessions({ client, query: { limit: 1 } });
  const { sessions, next_cursor: cursor } = granted(newest);
  const older = granted(await listSessions({ client, query: { limit: 1, ...(cursor === null ? {} : { cursor }) } }));
  print('sessions', newest, {
    current: [...sessions, ...older.sessions].map(({ current }) => current),
    is_last_page: older.next_cursor === null,
  });

  const registrationAgain = await register({ client, body: { ...body, password: 'short' } });
  const invalid = refused(registrationAgain);
  if (invalid.code === 'validation_failed')
    print('invalid', registrationAgain, {
      code: invalid.code,
      paths: (invalid.errors ?? []).map(({ path }) => path),
    });

  print('logout', await logout({ client, body: bodyOf(refreshed) }));

  const ended = await refresh({ client, body: bodyOf(refreshed) });
  const { code, reason } = refused(ended);
  if (code === 'invalid_refresh_token' && reason === 'revoked') print('refresh after logout', ended, { code, reason });

  const stranger = await getMe({ client });
  const unknown = refused(stranger);
  if (unknown.code === 'invalid_access_token') print('me after logout', stranger, { code: unknown.code });
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) throw new Error('BASE_URL EMAIL PASSWORD');
await walk(baseUrl, email, password);
