// The configurations of deploy/proxies in front of three processes. If a proxy cannot be installed, its tests fail.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Account, password, type Settings } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { until } from '../support/until.ts';
import { type Answer, http1Client, http2Client, type ProxyClient } from './client.ts';
import { type Proxy, type ProxyName, proxyNames, startProxy } from './proxies.ts';

const appOrigin = 'https://app.example.com';
const settings: Settings = {
  MASTER_KEYS: randomBytes(32).toString('base64url'),
  TRUST_PROXY: '1',
  CORS_ORIGINS: appOrigin,
  SHUTDOWN_DELAY: '5s', // as README.md of deploy/proxies says
};

let database: TestDatabase;
const services: ServiceProcess[] = [];
const ports: number[] = [];
const proxies = new Map<ProxyName, Proxy>();

async function startProcess(port: number): Promise<ServiceProcess> {
  const service = await startService({ ...settings, DATABASE_URL: database.url, PORT: String(port) });
  await waitUntilReady(service);
  return service;
}

beforeAll(async () => {
  database = await createDatabase();
  for (let count = 0; count < 3; count += 1) {
    const port = await freePort();
    ports.push(port);
    services.push(await startProcess(port));
  }
  for (const name of proxyNames) proxies.set(name, await startProxy(name, ports));
}, 300_000); // the first run downloads the proxies
afterAll(async () => {
  await Promise.all([...proxies.values()].map((proxy) => proxy.stop()));
  await Promise.all(services.map((service) => service.kill()));
  await database.drop();
});

const json = ({ text }: Answer) => JSON.parse(text) as Record<string, unknown>;

function register(extra: object = {}): Promise<Account> {
  const [service] = services;
  if (!service) throw new Error('no process runs');
  return service.register({ ...extra });
}

describe.each(proxyNames)('%s', (name) => {
  let proxy: Proxy;
  let client: ProxyClient;
  let http2: ProxyClient;
  beforeAll(async () => {
    proxy = proxies.get(name) as Proxy;
    client = http1Client(proxy, '127.0.0.2');
    http2 = await http2Client(proxy, '127.0.0.3');
  });
  afterAll(() => {
    client.close();
    http2.close();
  });

  test('offers HTTP/2 and HTTP/1.1 over TLS', async () => {
    for (const each of [client, http2]) {
      const response = await each.send('/.well-known/jwks.json');
      expect(response.status).toBe(200);
      expect(response.headers['strict-transport-security']).toContain('max-age=31536000');
    }
  });

  test.each(['X-Forwarded-For', 'Forwarded', 'X-Real-IP'])(
    'passes on the address of the client, not the one in its %s',
    async (header) => {
      const { email } = await register();
      for (const [each, address] of [
        [client, '127.0.0.2'],
        [http2, '127.0.0.3'],
      ] as const) {
        const headers = { [header]: header === 'Forwarded' ? 'for=203.0.113.9' : '203.0.113.9' };
        const login = json(await each.send('/login', { body: { email, password }, headers }));
        const listed = json(
          await each.send('/sessions', { headers: { authorization: `Bearer ${String(login['access_token'])}` } }),
        );
        const sessions = listed['sessions'] as { ip: string; current: boolean }[];
        expect(sessions.find(({ current }) => current)?.ip).toBe(address);
      }
    },
  );

  test('lets the service reject a body of 17 KiB with its own 413, and also one of 100 KiB', async () => {
    for (const each of [client, http2]) {
      const rejected = await each.send('/login', { body: { email: 'x'.repeat(17 * 1024) } });
      expect(rejected.status).toBe(413);
      expect(json(rejected)['code']).toBe('payload_too_large');
      expect((await each.send('/login', { body: { email: 'x'.repeat(100 * 1024) } })).status).toBe(413);
    }
  });

  test('lets the service reject headers of 18 KiB with its own 431', async () => {
    for (const each of [client, http2]) {
      const rejected = await each.send('/.well-known/jwks.json', { headers: { 'x-long': 'x'.repeat(18 * 1024) } });
      expect([rejected.status, rejected.text]).toEqual([431, expect.stringContaining('headers_too_large')]);
    }
  });

  test('serves a page that is larger than its buffers', async () => {
    const response = await client.send('/openapi.yaml');
    expect(response.status).toBe(200);
    expect(response.text.trimEnd()).toMatch(/^openapi: [^]{300000,}/);
  });

  test('exposes neither the probes nor the metrics', async () => {
    for (const path of ['/healthz', '/readyz', '/readyz?x', '/metrics'])
      for (const each of [client, http2]) expect([path, (await each.send(path)).status]).toEqual([path, 404]);
  });

  test('passes on the Secure cookie and accepts it', async () => {
    const { email } = await register();
    const headers = { origin: appOrigin };
    const login = await http2.send('/login', { body: { email, password, transport: 'cookie' }, headers });
    const [cookie = ''] = [login.headers['set-cookie']].flat();
    expect(cookie).toMatch(/^__Host-refresh_token=ktr_[^;]+; .*Secure/);
    const response = await http2.send('/refresh', {
      method: 'POST',
      headers: { ...headers, cookie: cookie.split(';')[0] ?? '', 'x-csrf-token': String(json(login)['csrf_token']) },
    });
    expect([response.status, response.text]).toEqual([200, expect.stringContaining('access_token')]);
  });
});

/** Processes of which only one listens. It receives requests and closes the connection instead of responding. */
async function startSilentProcesses() {
  const received: string[] = [];
  const server = createServer((req, res) => {
    if (req.url === '/readyz') return res.end();
    received.push(`${req.method} ${req.url}`);
    req.resume().on('end', () => req.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { received, ports: [await freePort(), port, await freePort()], close: () => void server.close() };
}

describe.each(proxyNames)('%s, if a connection breaks', (name) => {
  test('sends a POST once, although other processes refuse connections', async () => {
    const silent = await startSilentProcesses();
    const proxy = await startProxy(name, silent.ports);
    for (let count = 0; count < 5; count += 1) {
      const client = http1Client(proxy); // on a connection that was used before, HAProxy closes it instead of responding
      expect((await client.send('/login', { body: { email: 'ada@example.com', password } })).status).toBe(502);
      client.close();
    }
    expect(silent.received).toEqual(Array.from({ length: 5 }, () => 'POST /login'));
    await proxy.stop();
    silent.close();
  });

  const isRepeated = name !== 'caddy';
  test(`${isRepeated ? 'repeats' : 'does not repeat'} a refresh`, async () => {
    const silent = await startSilentProcesses();
    const [, port = 0] = silent.ports;
    const proxy = await startProxy(name, [port, port, port]);
    const client = http1Client(proxy);
    expect((await client.send('/refresh', { body: { refresh_token: 'ktr_x' } })).status).toBe(502);
    expect(silent.received.length > 1).toBe(isRepeated);
    client.close();
    await proxy.stop();
    silent.close();
  });

  test('logs the failure without the token in the URL', async () => {
    const silent = await startSilentProcesses();
    const proxy = await startProxy(name, silent.ports);
    const client = http1Client(proxy);
    expect((await client.send('/verify-email?token=kto_secret')).status).toBeGreaterThanOrEqual(502);
    client.close();
    await until(async () => (await proxy.output()).includes('/verify-email'));
    expect(await proxy.output()).not.toContain('kto_secret');
    await proxy.stop();
    silent.close();
  });
});

/** Refreshes a session again and again until `isOver`, and returns the unexpected outcomes. */
async function refreshUntil(
  isOver: () => boolean,
  client: ProxyClient,
): Promise<{ count: number; failures: string[] }> {
  let { refresh_token: token } = await register();
  let count = 0;
  const failures: string[] = [];
  while (!isOver()) {
    count += 1;
    const answer = await client.send('/refresh', { body: { refresh_token: token } }).catch((error: Error) => error);
    if (answer instanceof Error) failures.push(answer.message);
    else if (answer.status !== 200) failures.push(`${answer.status} ${answer.text.slice(0, 300)}`);
    else token = String(json(answer)['refresh_token']);
    await sleep(50);
  }
  return { count, failures };
}

/** Resolves when the proxy sends requests to the process again. The id in a response is in the log of the process that has sent it. */
async function untilUsed(proxy: Proxy, service: ServiceProcess): Promise<void> {
  const ids: string[] = [];
  for (let tries = 0; tries < 400; tries += 1) {
    const client = http1Client(proxy);
    ids.push(String((await client.send('/.well-known/jwks.json')).headers['x-request-id']));
    client.close();
    await sleep(50);
    if (service.lines.some((line) => ids.some((id) => line.includes(id)))) return;
  }
  throw new Error(`${proxy.name} does not use the restarted process`);
}

test('restarting the processes in turn fails no refresh behind any proxy', async () => {
  let isOver = false;
  const running = [...proxies.values()].map(async (proxy) => {
    const clients = [http1Client(proxy), http1Client(proxy), await http2Client(proxy), await http2Client(proxy)];
    const outcomes = await Promise.all(clients.map((client) => refreshUntil(() => isOver, client)));
    for (const client of clients) client.close();
    return {
      name: proxy.name,
      isEnough: outcomes.every(({ count }) => count > 10),
      failures: outcomes.flatMap(({ failures }) => failures),
    };
  });
  for (const [index, port] of ports.entries()) {
    expect(await services[index]?.stop()).toBe(0);
    const service = (services[index] = await startProcess(port));
    await Promise.all([...proxies.values()].map((proxy) => untilUsed(proxy, service)));
  }
  isOver = true;
  expect(await Promise.all(running)).toEqual(proxyNames.map((name) => ({ name, isEnough: true, failures: [] })));
}, 300_000);
