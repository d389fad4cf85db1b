// Serves endpoints that a test declares, behind the usual middleware and without a database.
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { makeAllowedOrigins } from '../../src/http/server/allowed-origins.ts';
import type { Endpoint } from '../../src/http/endpoint.ts';
import type { RateLimit } from '../../src/http/rate-limits/budget.ts';
import { makeMemoryCounters } from '../../src/http/rate-limits/counters.ts';
import { makeRateLimiter } from '../../src/http/rate-limits/rate-limit.ts';
import { InvalidAccessToken } from '../../src/core/errors.ts';
import { listen, makeExpress } from '../../src/http/server/server.ts';

export interface ServedEndpoints {
  baseUrl: string;
  /** Log entries of a request, after the last one was written. */
  linesOf(requestId: unknown): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

const noLimit: RateLimit = { count: 1_000_000, windowSeconds: 60 };

export interface ServeOptions {
  /** Rate limit of this group; the others have none. */
  mail?: RateLimit;
}

/** Every access token is invalid here. */
export async function serveEndpoints(
  endpoints: readonly Endpoint[],
  { mail = noLimit }: ServeOptions = {},
): Promise<ServedEndpoints> {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { base: null },
    {
      write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    },
  );
  const express = makeExpress(endpoints, {
    log,
    baseUrl: 'https://auth.example.com',
    trustProxy: false,
    metrics: { requestDone: () => {} },
    cors: {
      allowedOrigins: makeAllowedOrigins({ corsOrigins: [], allowsLocalOrigins: false }, log),
      ownOrigin: 'https://auth.example.com',
      moreHeaders: [],
    },
    checkResponses: true,
    rateLimiter: makeRateLimiter({
      rateLimits: { login: noLimit, register: noLimit, refresh: noLimit, mail, default: noLimit },
      openCounters: (_name, windowSeconds) => makeMemoryCounters(windowSeconds),
      partitionKey: Buffer.alloc(32),
      metrics: { startLimitGroup: () => {}, limited: () => {} },
    }),
    findApiKey: { bySecret: async () => undefined, byToken: async () => undefined },
    verify: () => {
      throw new InvalidAccessToken('none is good');
    },
  });
  const server = await listen(express, '127.0.0.1', 0);
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async linesOf(requestId) {
      const own = () => lines.filter((line) => line['request_id'] === requestId);
      // The response can arrive before the log line.
      for (let tries = 0; tries < 200 && !own().some(({ status }) => status); tries += 1) await setTimeout(10);
      return own();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
