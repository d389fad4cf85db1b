import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, jest, test } from '@jest/globals';
import { type Logger, makeLogger } from '../../src/platform/log.ts';
import { openRedis, type Redis } from '../../src/platform/redis.ts';
import { startRedis } from '../support/redis-server.ts';

jest.setTimeout(30_000);

/** Log messages by level. */
function recorded(): { log: Logger; told: string[] } {
  const log = makeLogger({ level: 'silent', pretty: false });
  const told: string[] = [];
  for (const level of ['info', 'warn', 'error'] as const) log[level] = () => void told.push(level);
  return { log, told };
}

async function until(condition: () => boolean, maxMs = 5000): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries * 10 > maxMs) throw new Error(`not within ${maxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Blocks the event loop, as a burst of requests does. */
function block(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

async function withRedis(use: (redis: Redis, told: string[]) => Promise<void>): Promise<void> {
  const server = await startRedis();
  const { log, told } = recorded();
  const redis = openRedis(server.url, log);
  try {
    await until(redis.isUp);
    await use(redis, told);
  } finally {
    redis.close();
    await server.kill();
  }
}

test('a busy process does not mistake its own delay for an unavailable Redis', () =>
  withRedis(async (redis, told) => {
    for (const busyMs of [200, 400, 1000]) {
      const response = redis.send('PING');
      block(busyMs);
      expect(await response).toBe('PONG');
    }
    expect([redis.isUp(), told]).toEqual([true, []]);
  }));

test('a server that accepts the connection and never replies is logged once', async () => {
  const server = await startRedis();
  server.pause();
  const { log, told } = recorded();
  const redis = openRedis(server.url, log);
  try {
    await until(() => told.length > 0, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 6000));
    expect(told).toEqual(['warn']);
    server.resume();
    await until(redis.isUp, 10_000);
    expect(told).toEqual(['warn', 'info']);
  } finally {
    redis.close();
    await server.kill();
  }
});

/** A TCP proxy that can drop its connections silently, as a firewall or a dead host does; new ones work. */
async function startForgetfulProxy(port: number) {
  let epoch = 0;
  const proxy = createServer((client) => {
    const [born, server] = [epoch, connect(port, '127.0.0.1')];
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const)
      from
        .on('data', (chunk) => born === epoch && to.write(chunk))
        .on('error', () => {})
        .on('close', () => to.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return { url, forget: () => void (epoch += 1), close: () => void proxy.close() };
}

test('a silently dead connection is replaced', async () => {
  const server = await startRedis();
  const proxy = await startForgetfulProxy(server.port);
  const { log, told } = recorded();
  const redis = openRedis(proxy.url, log);
  try {
    await until(redis.isUp);
    proxy.forget();
    await expect(redis.send('PING')).rejects.toThrow('no reply within');
    await until(redis.isUp, 15_000);
    expect(await redis.send('PING')).toBe('PONG');
    expect(told).toEqual(['warn', 'info']);
  } finally {
    redis.close();
    proxy.close();
    await server.kill();
  }
});
