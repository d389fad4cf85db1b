import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { freshEmail, password, type Settings, startApp, type TestApp } from '../harness.ts';
import { unlimited } from './attack.ts';
import { send } from './wire.ts';

const maxConnections = 4;
const health = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';

let app: TestApp;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await app.close();
});

const start = async (settings: Settings = {}) => {
  app = await startApp({ ...unlimited, ...settings }, { limits: { maxConnections } });
};

/** Opens a connection, waits until the service accepted it, and sends this. */
async function open(text = ''): Promise<Socket> {
  const accepted = once(app.server, 'connection');
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(app.baseUrl).port) }).on('error', () => {});
  sockets.push(socket.resume());
  await accepted;
  if (text) socket.write(text);
  await sleep(50);
  return socket;
}

const areOpen = (connections: Socket[]) => connections.map(({ destroyed }) => !destroyed);

async function waitUntilLast(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, 'close', { signal: AbortSignal.timeout(3000) });
}

describe('above the connection limit', () => {
  test('the longest idle connection is closed for a new one', async () => {
    await start();
    const [silent, kept, dripping] = [await open(), await open(health), await open('GET / HTTP/1.1\r\nX-A: a')];
    const recent = await open(health);
    silent.write(health); // made progress, so it is closed last
    await sleep(50);
    dripping.write('a'); // made no progress
    const [first] = [await open()];
    await waitUntilLast(kept);
    expect(areOpen([kept, dripping, recent, silent, first])).toEqual([false, true, true, true, true]);
    const second = await open();
    await waitUntilLast(dripping);
    expect(areOpen([dripping, recent, silent, first, second])).toEqual([false, true, true, true, true]);
  });

  test('a client with many connections, used or unused, does not block others', async () => {
    await start();
    for (let index = 0; index < 3 * maxConnections; index += 1) await open(index % 2 ? health : '');
    expect((await send(app.baseUrl, '/healthz')).status).toBe(200);
  });

  test('a new connection is refused rather than cutting a running request', async () => {
    await start({
      ARGON2_MEMORY_KIB: '65536',
      ARGON2_ITERATIONS: '20',
      ARGON2_PARALLELISM: '1',
      HASH_CONCURRENCY: '1',
    });
    const login = () =>
      send(app.baseUrl, '/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: freshEmail(), password }),
      });
    const logins = Array.from({ length: maxConnections }, login);
    await sleep(100);
    const refused = await open(health);
    await waitUntilLast(refused);
    expect(refused.bytesRead).toBe(0);
    expect((await Promise.all(logins)).map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect((await send(app.baseUrl, '/healthz')).status).toBe(200);
  });
});
