// What a user of the API writes: types that openapi-typescript made of openapi.yaml, calls by openapi-fetch, and neither
// an `any` nor a cast. `node walk.js BASE_URL EMAIL PASSWORD` prints what it met on its way.
import createClient from 'openapi-fetch';
import type { components, paths } from './keyturn.js';

type Problem = components['schemas']['Problem'];
type User = components['schemas']['User'];
type Session = components['schemas']['Session'];

/** What openapi-fetch resolves with; `Fault` is every problem that the operation declares. */
interface Answer<Data, Fault extends Problem> {
  data?: Data;
  error?: Fault;
  response: Response;
}

export interface Walked {
  registered: User;
  me: User;
  sessions: Session[];
  scope: string;
  refreshedIsNew: boolean;
  refusals: { code: string; because: string }[];
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

export async function walk(baseUrl: string, email: string, password: string): Promise<Walked> {
  const client = createClient<paths>({ baseUrl });
  const refusals: Walked['refusals'] = [];

  const body = { email, password, display_name: 'Ada Lovelace' };
  const answer = granted(await client.POST('/register', { body }));
  if (!('user' in answer)) throw new Error(`the address must be confirmed first: ${answer.message}`);
  const { user: registered } = answer;
  const taken = refused(await client.POST('/register', { body }));
  if (taken.code === 'email_taken') refusals.push({ code: taken.code, because: taken.title });
  const invalid = refused(await client.POST('/register', { body: { ...body, email: 'ada' } }));
  if (invalid.code === 'validation_failed')
    refusals.push({ code: invalid.code, because: (invalid.errors ?? []).map(({ path }) => path).join() });

  const tokens = granted(await client.POST('/login', { body: { email, password } }));
  const refreshed = granted(await client.POST('/refresh', { body: bodyOf(tokens) }));
  client.use({
    onRequest({ request }) {
      request.headers.set('authorization', `${refreshed.token_type} ${refreshed.access_token}`);
    },
  });
  const me = granted(await client.GET('/me'));
  const { sessions, next_cursor: next } = granted(await client.GET('/sessions', { params: { query: { limit: 1 } } }));
  const query = { limit: 1, ...(next === null ? {} : { cursor: next }) };
  const older = granted(await client.GET('/sessions', { params: { query } }));

  const { response } = await client.POST('/logout', { body: bodyOf(refreshed) });
  if (response.status !== 204) throw new Error(`the logout answered ${response.status}`);
  const ended = refused(await client.POST('/refresh', { body: bodyOf(refreshed) }));
  if (ended.code === 'invalid_refresh_token') refusals.push({ code: ended.code, because: ended.reason ?? 'not told' });

  return {
    registered,
    me,
    sessions: [...sessions, ...older.sessions],
    scope: refreshed.scope,
    refreshedIsNew: refreshed.refresh_token !== tokens.refresh_token,
    refusals,
  };
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) throw new Error('BASE_URL EMAIL PASSWORD');
console.log(JSON.stringify(await walk(baseUrl, email, password)));
