// `client.fetch`, towards an API of its own that believes or refuses the access token.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { errorOf, refreshesOf, signUp, startWorld, type World } from './world.ts';

interface Asked {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

let world: World;
/** Answers 401 to each token that it was told to refuse, and to everybody at `/private`. */
let api: { url: string; server: Server; asked: Asked[]; refused: Set<string> };
beforeAll(async () => {
  world = await startWorld();
  const [asked, refused]: [Asked[], Set<string>] = [[], new Set()];
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const { url: path = '', headers } = req;
      asked.push({ path, headers, body });
      const token = headers.authorization?.replace('Bearer ', '') ?? '';
      res.writeHead(path === '/private' || refused.has(token) ? 401 : 200).end(`echo ${body}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  api = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, asked, refused };
});
afterAll(async () => {
  api.server.closeAllConnections();
  api.server.close();
  await world.close();
});
afterEach(() => {
  api.asked.length = world.proxy.seen.length = 0;
  api.refused.clear();
});

const signUpForApi = async () => (await signUp(world, { apis: [`${api.url}/`] })).client;

describe('a token that an API refuses', () => {
  test('is replaced once, and the request is repeated with the same body and headers', async () => {
    const client = await signUpForApi();
    const old = await client.accessToken();
    api.refused.add(old);
    const answer = await client.fetch(`${api.url}/orders`, { method: 'POST', body: 'two', headers: { 'x-a': 'b' } });
    expect([answer.status, await answer.text()]).toEqual([200, 'echo two']);
    expect(api.asked.map(({ body, headers }) => [body, headers['x-a']])).toEqual([
      ['two', 'b'],
      ['two', 'b'],
    ]);
    expect(api.asked.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${old}`,
      `Bearer ${await client.accessToken()}`,
    ]);
    expect(refreshesOf(world)).toHaveLength(1);
  });

  test('by twenty requests at once: one refresh', async () => {
    const client = await signUpForApi();
    api.refused.add(await client.accessToken());
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${api.url}/orders`)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(refreshesOf(world)).toHaveLength(1);
  });

  test('for another reason: the 401 is the answer, and makes no storm of refreshes', async () => {
    const client = await signUpForApi();
    for (let calls = 0; calls < 10; calls += 1) expect((await client.fetch(`${api.url}/private`)).status).toBe(401);
    expect(refreshesOf(world)).toHaveLength(1);
    expect(client.told).toHaveLength(1);
    expect((await client.fetch(`${api.url}/orders`)).status).toBe(200);
  });

  test('of a Request object: sent again, with its body', async () => {
    const client = await signUpForApi();
    api.refused.add(await client.accessToken());
    const request = new Request(`${api.url}/orders`, { method: 'PUT', body: 'three', headers: { 'x-a': 'b' } });
    expect(await (await client.fetch(request)).text()).toBe('echo three');
    expect(api.asked.map(({ body, headers }) => [body, headers['x-a']])).toEqual([
      ['three', 'b'],
      ['three', 'b'],
    ]);
  });

  test('with a stream, which can be sent once: the 401 is the answer, and the next call has a new token', async () => {
    const client = await signUpForApi();
    api.refused.add(await client.accessToken());
    const upload = { method: 'POST', body: new Blob(['four']).stream(), duplex: 'half' } as RequestInit;
    expect((await client.fetch(`${api.url}/orders`, upload)).status).toBe(401);
    expect(api.asked.map(({ body }) => body)).toEqual(['four']);
    expect((await client.fetch(`${api.url}/orders`)).status).toBe(200);
  });

  test('of a session that was revoked: the app learns it from the 401 of the refresh', async () => {
    const client = await signUpForApi();
    await world.app.post('/logout', { refresh_token: client.storage.token });
    expect(await errorOf(client.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  });
});

test('a hundred callers at once share one refresh', async () => {
  const client = await signUpForApi();
  api.refused.add(await client.accessToken());
  await client.fetch(`${api.url}/orders`);
  const tokens = await Promise.all(Array.from({ length: 100 }, () => client.accessToken()));
  expect(new Set(tokens).size).toBe(1);
  expect(refreshesOf(world)).toHaveLength(1);
});

test('a path is the service’s own', async () => {
  const client = await signUpForApi();
  const answer = await client.fetch('/me');
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ display_name: 'Ada Lovelace' });
});

test('no other address gets the token', async () => {
  const client = await signUpForApi();
  const { host } = new URL(api.url);
  const strangers = [
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
  for (const stranger of strangers)
    expect([stranger, (await errorOf(client.fetch(stranger))).code]).toEqual([stranger, 'foreign_address']);
  expect(api.asked).toEqual([]);
  expect((await client.fetch('//evil.example.com/')).url).toBe(`${world.proxy.baseUrl}//evil.example.com/`);
});
