// `client.fetch` with an API that can reject access tokens.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { displayName, errorOf, signUp, useBackend } from './support.ts';

interface ApiRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

const backend = useBackend();
/** Returns 401 for the tokens in `rejectedTokens` and for every request to `/private`. */
let api: { url: string; server: Server; requests: ApiRequest[]; rejectedTokens: Set<string> };
beforeAll(async () => {
  const [requests, rejectedTokens]: [ApiRequest[], Set<string>] = [[], new Set()];
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const { url: path = '', headers } = req;
      requests.push({ path, headers, body });
      const token = headers.authorization?.replace('Bearer ', '') ?? '';
      res.writeHead(path === '/private' || rejectedTokens.has(token) ? 401 : 200).end(`echo ${body}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  api = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, requests, rejectedTokens };
});
afterAll(() => {
  api.server.closeAllConnections();
  api.server.close();
});
afterEach(() => {
  api.requests.length = 0;
  api.rejectedTokens.clear();
});

const signUpForApi = async () => (await signUp(backend, { apis: [`${api.url}/`] })).client;

/** A signed-in client whose current access token the API rejects. */
async function clientWithRejectedToken() {
  const client = await signUpForApi();
  const rejected = await client.accessToken();
  api.rejectedTokens.add(rejected);
  return { client, rejected };
}

const refreshes = () => backend.requestsTo('/refresh');

describe('after a 401 of an API', () => {
  test('refreshes once and repeats the request with the same body and headers', async () => {
    const { client, rejected } = await clientWithRejectedToken();
    const response = await client.fetch(`${api.url}/orders`, { method: 'POST', body: 'two', headers: { 'x-a': 'b' } });
    expect([response.status, await response.text()]).toEqual([200, 'echo two']);
    expect(api.requests.map(({ body, headers }) => [body, headers['x-a']])).toEqual([
      ['two', 'b'],
      ['two', 'b'],
    ]);
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${rejected}`,
      `Bearer ${await client.accessToken()}`,
    ]);
    expect(refreshes()).toHaveLength(1);
  });

  test('twenty concurrent requests share one refresh', async () => {
    const { client } = await clientWithRejectedToken();
    const responses = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${api.url}/orders`)));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(refreshes()).toHaveLength(1);
  });

  test('returns a repeated 401 to the app and does not refresh for each one', async () => {
    const client = await signUpForApi();
    for (let calls = 0; calls < 10; calls += 1) expect((await client.fetch(`${api.url}/private`)).status).toBe(401);
    expect(refreshes()).toHaveLength(1);
    expect(client.events).toHaveLength(1);
    expect((await client.fetch(`${api.url}/orders`)).status).toBe(200);
  });

  test('repeats a Request object with its body', async () => {
    const { client } = await clientWithRejectedToken();
    const request = new Request(`${api.url}/orders`, { method: 'PUT', body: 'three', headers: { 'x-a': 'b' } });
    expect(await (await client.fetch(request)).text()).toBe('echo three');
    expect(api.requests.map(({ body, headers }) => [body, headers['x-a']])).toEqual([
      ['three', 'b'],
      ['three', 'b'],
    ]);
  });

  test('does not repeat a request with a stream, but the next call has a new token', async () => {
    const { client } = await clientWithRejectedToken();
    const upload = { method: 'POST', body: new Blob(['four']).stream(), duplex: 'half' } as RequestInit;
    expect((await client.fetch(`${api.url}/orders`, upload)).status).toBe(401);
    expect(api.requests.map(({ body }) => body)).toEqual(['four']);
    expect((await client.fetch(`${api.url}/orders`)).status).toBe(200);
  });

  test('rejects with signed_out if the session is revoked', async () => {
    const client = await signUpForApi();
    await backend.app.post('/logout', { refresh_token: client.storage.token });
    expect(await errorOf(client.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  });
});

test('a hundred concurrent calls of accessToken share one refresh', async () => {
  const { client } = await clientWithRejectedToken();
  await client.fetch(`${api.url}/orders`);
  const tokens = await Promise.all(Array.from({ length: 100 }, () => client.accessToken()));
  expect(new Set(tokens).size).toBe(1);
  expect(refreshes()).toHaveLength(1);
});

test('sends a path to the service', async () => {
  const client = await signUpForApi();
  const response = await client.fetch('/me');
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ display_name: displayName });
});

test('sends no token to a URL that is not allowed', async () => {
  const client = await signUpForApi();
  const { host } = new URL(api.url);
  const forbidden = [
    'https://evil.example.com/orders',
    `${api.url}.evil.example.com/`,
    `${api.url}@evil.example.com/`,
    `${api.url}1/orders`,
    `http://${host}\\@evil.example.com`,
    ` ${api.url}/orders`,
    'orders',
    new URL('https://evil.example.com/'),
    new Request('https://evil.example.com/'),
  ];
  for (const url of forbidden) expect([url, (await errorOf(client.fetch(url))).code]).toEqual([url, 'url_not_allowed']);
  expect(api.requests).toEqual([]);
  expect((await client.fetch('//evil.example.com/')).url).toBe(`${backend.proxy.baseUrl}//evil.example.com/`);
});
