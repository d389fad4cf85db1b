// What is observed during the faults: clients that refresh, probes, and the checks of HAProxy.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyturnError } from '../../src/client/errors.ts';
import { makeSendRequest } from '../../src/client/request.ts';
import { retry } from '../../src/client/retry.ts';
import type { Ratchet } from '../../src/core/sessions/refresh-token.ts';
import { http1Client, type ProxyRequest } from '../../tests/proxies/client.ts';
import type { Proxy } from '../../tests/proxies/proxies.ts';

/** One response, or one failed probe, and when it came. */
export interface Observation {
  atMs: number;
  kind: 'refreshed' | 'unavailable' | 'logged out' | 'other failure' | 'gave up' | 'readyz failed' | 'jwks failed';
  detail?: string;
}

export interface Observer {
  observations: Observation[];
  /** The most connections to Postgres since the last call. */
  takeMaxConnections(): number;
  /** How often HAProxy has taken a process out of service so far. */
  countDowns(): Promise<number>;
  stop(): Promise<void>;
}

const [timeoutMs, retryTimeoutMs] = [8000, 30_000]; // the defaults of keyturn/client
const probeMs = 1000;

/** `fetch` with the certificate of the proxy. Each client has a connection of its own. */
function fetchThrough(proxy: Proxy): typeof fetch {
  const client = http1Client(proxy);
  return async (url, { method = 'GET', headers, body, signal } = {}) => {
    const request: ProxyRequest = { method, headers: headers as Record<string, string>, ...(signal ? { signal } : {}) };
    const answer = await client.send(
      new URL(url instanceof Request ? url.url : url).pathname,
      typeof body === 'string' ? { ...request, body } : request,
    );
    return new Response(answer.text, {
      status: answer.status,
      headers: Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
    });
  };
}

const kindOf = ({ code, status }: KeyturnError): Observation['kind'] => {
  if (status === 401) return 'logged out';
  return status === 503 && code !== 'invalid_response' ? 'unavailable' : 'other failure';
};

export interface ObserverOptions {
  proxy: Proxy;
  ratchet: Ratchet;
  tokens: readonly string[];
  pauseMs: number;
  servicePorts: readonly number[];
  postgresPort: number;
}

export function startObserver({
  proxy,
  ratchet,
  tokens,
  pauseMs,
  servicePorts,
  postgresPort,
}: ObserverOptions): Observer {
  const observations: Observation[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  const isStopped = () => signal.aborted;
  const record = (kind: Observation['kind'], detail?: string) =>
    void observations.push({ atMs: performance.now(), kind, ...(detail === undefined ? {} : { detail }) });

  /** Refreshes as keyturn/client does, and checks that the response has the same token or its successor. */
  async function runClient(first: string): Promise<void> {
    const sendRequest = makeSendRequest({
      baseUrl: 'https://auth.example.com',
      fetch: fetchThrough(proxy),
      credentials: 'omit',
      timeoutMs,
    });
    let presented = first;
    const attempt = async () => {
      try {
        const { refresh_token: received } = await sendRequest('/refresh', { body: { refresh_token: presented } });
        const [before, after] = [ratchet.parse(presented), ratchet.parse(String(received))];
        const advance =
          before && after && after.sessionId === before.sessionId ? after.generation - before.generation : -1;
        if (advance !== 0 && advance !== 1) record('other failure', `generation +${advance}`);
        record('refreshed');
        presented = String(received);
      } catch (error) {
        if (error instanceof KeyturnError)
          record(kindOf(error), `${error.code} ${error.status ?? ''} ${error.reason ?? ''}`.trim());
        throw error;
      }
    };
    await sleep(Math.random() * pauseMs);
    while (!isStopped()) {
      await retry(attempt, { retryTimeoutMs }).catch((error: unknown) => record('gave up', String(error)));
      await sleep(pauseMs * (0.75 + Math.random() / 2));
    }
  }

  /** Probes like an orchestrator: every second, with a timeout of a second. */
  async function probe(kind: 'readyz failed' | 'jwks failed', isOk: () => Promise<boolean>): Promise<void> {
    while (!isStopped()) {
      const startedMs = performance.now();
      const result = await isOk().catch((error: Error) => error.name);
      if (result !== true) record(kind, String(result));
      await sleep(Math.max(0, startedMs + probeMs - performance.now()));
    }
  }

  const publicFetch = fetchThrough(proxy);
  const probes = [
    probe(
      'jwks failed',
      async () =>
        (await publicFetch('https://auth.example.com/.well-known/jwks.json', { signal: AbortSignal.timeout(probeMs) }))
          .ok,
    ),
    ...servicePorts.map((port) =>
      probe(
        'readyz failed',
        async () => (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(probeMs) })).ok,
      ),
    ),
  ];
  let maxConnections = 0;
  const sample = setInterval(() => (maxConnections = Math.max(maxConnections, countConnections(postgresPort))), 200);
  const running = [...tokens.map(runClient), ...probes];
  return {
    observations,
    takeMaxConnections() {
      const taken = maxConnections;
      maxConnections = 0;
      return taken;
    },
    countDowns: () => countDowns(proxy),
    async stop() {
      stopping.abort();
      await Promise.all(running);
      clearInterval(sample);
    },
  };
}

/** Sums the column `chkdown` of HAProxy's statistics: transitions from UP to DOWN. */
async function countDowns({ folder }: Proxy): Promise<number> {
  const socket = connect(`${folder}/admin.sock`);
  socket.end('show stat\n');
  const [head = '', ...lines] = (await text(socket)).split('\n');
  const column = head.split(',').indexOf('chkdown');
  return lines
    .map((line) => line.split(','))
    .filter(([, name]) => name?.startsWith('keyturn'))
    .reduce((sum, fields) => sum + Number(fields[column]), 0);
}

/** Connections to a port that the server has not closed. Works also while Postgres hangs. */
function countConnections(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [established, closeWait] = ['01', '08'];
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address?.endsWith(local) && (state === established || state === closeWait))
    .length;
}
