import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Gauge, Registry } from 'prom-client';
import { makeLogger } from '../../src/platform/log.ts';
import { serveMetrics } from '../../src/platform/metrics-server.ts';
import { freshEmail, password } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';

jest.setTimeout(60_000);

const masterKeys = randomBytes(32).toString('base64url');
let database: TestDatabase;
let service: ServiceProcess;
let metricsUrl: string;
/** The first scrape, before any request. */
let fresh: { types: Map<string, string>; series: Map<string, number> };

beforeAll(async () => {
  database = await createDatabase();
  const port = await freePort();
  metricsUrl = `http://127.0.0.1:${port}/metrics`;
  service = await startService({
    DATABASE_URL: database.url,
    HOST: '0.0.0.0',
    MASTER_KEYS: masterKeys,
    METRICS_PORT: String(port),
    TRUST_PROXY: '1',
    LOCKOUT_ATTEMPTS: '3',
    RATE_LIMIT_MAIL: '1/1m',
    RATE_LIMIT_LOGIN: '30/1m',
  });
  await waitUntilReady(service);
  const text = await (await fetch(metricsUrl)).text();
  const types = [...text.matchAll(/^# TYPE (keyturn_\w+) (\w+)$/gm)].map(
    ([, name = '', type = '']) => [name, type] as const,
  );
  fresh = { types: new Map(types), series: await scrape() };
});
afterAll(async () => {
  await service.stop();
  await database.drop();
});

/** Values by series; a series is `name{label="value"}`. */
async function scrape(): Promise<Map<string, number>> {
  const text = await (await fetch(metricsUrl)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** The amount by which `work` increased a series. */
async function added(series: string, work: () => Promise<unknown>): Promise<number> {
  const before = (await scrape()).get(series) ?? 0;
  await work();
  return ((await scrape()).get(series) ?? 0) - before;
}

const loginFrom = (ip: string, email: string, secret: string) =>
  service.call('post', '/login', { body: { email, password: secret }, headers: { 'x-forwarded-for': ip } });

test('are served as Prometheus text on METRICS_PORT only', async () => {
  const response = await fetch(metricsUrl);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    expect.stringMatching(/^text\/plain; version=0\.0\.4/),
  ]);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect((await service.get('/metrics')).status).toBe(404);
  expect((await fetch(metricsUrl.replace('/metrics', '/login'))).status).toBe(404);
  expect((await fetch(`${metricsUrl}?job=keyturn`)).status).toBe(200);
  expect((await fetch(metricsUrl, { method: 'POST' })).status).toBe(405);
});

const counterOf = (series: string) => series.replace(/\{.*$/, '');
const counterSeries = (all: Map<string, number>) =>
  [...all.keys()].filter((series) => fresh.types.get(counterOf(series)) === 'counter');

test('of a new process have a series for every counter', () => {
  const present = new Set(counterSeries(fresh.series).map(counterOf));
  const counters = [...fresh.types].flatMap(([name, type]) => (type === 'counter' ? [name] : []));
  expect(counters.length).toBeGreaterThan(6);
  expect(counters.filter((name) => !present.has(name))).toEqual([]);
});

test('of a new process are 0, except for jobs that have run and connections', () => {
  const counted = [...fresh.series].filter(
    ([series, value]) => fresh.types.get(counterOf(series)) === 'counter' && value !== 0,
  );
  const ofTheStart = ['keyturn_job_runs_total', 'keyturn_database_connections_opened_total'];
  expect(counted.filter(([series]) => !ofTheStart.includes(counterOf(series)))).toEqual([]);
  expect(fresh.series.get('keyturn_refreshes_total{outcome="reused"}')).toBe(0);
  expect(fresh.series.get('keyturn_emails_total{kind="password_reset",outcome="failed"}')).toBe(0);
  expect(fresh.series.get('keyturn_rate_limited_total{group="register_network"}')).toBe(0);
  expect(fresh.series.has('keyturn_job_runs_total{job="signing_keys",outcome="failed"}')).toBe(true);
  expect(fresh.series.has('keyturn_job_runs_total{job="purge_emails",outcome="failed"}')).toBe(true);
});

test('include the metrics that the alerts use', async () => {
  await service.register();
  const names = new Set([...(await scrape()).keys()].map((series) => series.replace(/\{.*$/, '')));
  expect([...names]).toEqual(
    expect.arrayContaining([
      'keyturn_build_info',
      'keyturn_http_request_duration_seconds_bucket',
      'keyturn_hash_running',
      'keyturn_hash_queue_depth',
      'keyturn_hash_wait_seconds_count',
      'keyturn_database_up',
      'keyturn_database_pool_connections',
      'keyturn_database_pool_busy',
      'keyturn_database_pool_waiting',
      'keyturn_database_pool_closing',
      'keyturn_database_pool_wait_seconds_count',
      'keyturn_database_connections_opened_total',
      'keyturn_database_connections_closed_total',
      'keyturn_database_connections_abandoned_total',
      'keyturn_emails_waiting',
      'keyturn_email_oldest_waiting_seconds',
      'keyturn_signing_key_age_seconds',
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
    ]),
  );
  const all = await scrape();
  const of = (name: string) => [...all].find(([series]) => series.startsWith(name))?.[1] ?? NaN;
  expect(of('keyturn_signing_key_age_seconds')).toBeLessThan(600);
  expect(of('keyturn_signing_key_age_seconds')).toBeGreaterThanOrEqual(0);
  expect(of('keyturn_hash_wait_seconds_count')).toBeGreaterThanOrEqual(1);
  expect(of('keyturn_database_pool_wait_seconds_count')).toBeGreaterThanOrEqual(3);
  expect(all.get('keyturn_database_errors_total{cause="disk_full"}')).toBe(0);
  expect(of('keyturn_database_connections_opened_total')).toBeGreaterThanOrEqual(1);
  expect(of('keyturn_database_pool_connections')).toBeGreaterThanOrEqual(1);
});

test('time requests by method, route and status', async () => {
  const series = 'keyturn_http_request_duration_seconds_count{method="GET",route="/sessions",status="401"}';
  expect(await added(series, () => service.get('/sessions'))).toBe(1);
});

test('runs of background jobs are counted by outcome', async () => {
  const runs = 'keyturn_job_runs_total{job="purge_sessions",outcome="succeeded"}';
  for (let tries = 0; tries < 100 && !(await scrape()).get(runs); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await scrape()).get(runs)).toBeGreaterThanOrEqual(1);
});

describe('count refreshes by outcome', () => {
  const series = (outcome: string) => `keyturn_refreshes_total{outcome="${outcome}"}`;

  test('rotated, replayed, replayed from another network', async () => {
    const { refresh_token: token } = await service.register();
    expect(await added(series('rotated'), () => service.refresh(token))).toBe(1);
    expect(await added(series('replayed'), () => service.refresh(token))).toBe(1);
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    const elsewhere = () => service.call('post', '/refresh', { body: { refresh_token: token }, headers });
    expect(await added(series('replayed_elsewhere'), elsewhere)).toBe(1);
  });

  test('reused and refused', async () => {
    const { refresh_token: token, session_id: id } = await service.register();
    await service.refresh(token);
    await database.use((db) => db.sessions.setRotationAges(id, 31));
    expect(await added(series('reused'), () => service.refresh(token))).toBe(1);
    expect(await added(series('refused'), () => service.refresh(token))).toBe(1);
    expect(await added(series('refused'), () => service.refresh('ktr_nonsense'))).toBe(1);
  });
});

test('count logins by outcome and lockouts', async () => {
  const { email } = await service.register();
  const series = (outcome: string) => `keyturn_logins_total{outcome="${outcome}"}`;
  expect(await added(series('success'), () => loginFrom('192.0.2.1', email, password))).toBe(1);
  expect(await added(series('unknown_account'), () => loginFrom('192.0.2.1', freshEmail(), password))).toBe(1);
  const fail = async () => {
    for (let i = 0; i < 3; i += 1) await loginFrom('192.0.2.2', email, 'not it');
  };
  expect(await added('keyturn_lockouts_total{scope="network"}', fail)).toBe(1);
  expect(await added(series('account_locked'), () => loginFrom('192.0.2.2', email, password))).toBe(1);
  expect((await scrape()).get(series('wrong_password'))).toBe(3);
});

test('count rate limited requests', async () => {
  const flood = async () => {
    for (let i = 0; i < 32; i += 1) await loginFrom('192.0.2.3', freshEmail(), 'not it');
  };
  expect(await added('keyturn_rate_limited_total{group="login"}', flood)).toBe(2);
});

test('no outcome creates a series of a counter that was not there from the start', async () => {
  const series = counterSeries(await scrape());
  expect(series.filter((name) => !fresh.series.has(name))).toEqual([]);
});

test('requests with unknown paths, methods and headers create one series', async () => {
  const scan = async (mark: string) => {
    const paths = [
      `/${mark}`,
      `/sessions/${mark}`,
      `/problems/${mark}`,
      `/login/${mark}`,
      `/.git/${mark}`,
      `/%2e%2e/${mark}`,
    ];
    for (const path of paths)
      for (const method of ['GET', 'PUT', 'DELETE', 'PROPFIND', 'PURGE'])
        await fetch(`${service.baseUrl}${path}`, {
          method,
          headers: { 'user-agent': mark, 'x-request-id': mark, origin: mark },
        });
  };
  await scan('mark1');
  const before = [...(await scrape()).keys()];
  for (const mark of ['mark2', 'mark3', 'mark4']) await scan(mark);
  const after = await scrape();
  expect([...after.keys()].filter((series) => series.startsWith('keyturn_'))).toEqual(
    before.filter((series) => series.startsWith('keyturn_')),
  );
  expect([...after.keys()].join('\n')).not.toMatch(/mark\d|\.git/);
});

// All of 127.0.0.0/8 is this machine, so 127.0.0.2 stands for any address but the default.
const isServed = (host: string, url: string) =>
  fetch(url.replace('127.0.0.1', host)).then(
    ({ status }) => status === 200,
    () => false,
  );

test('are served on 127.0.0.1 by default, also if HOST is 0.0.0.0', async () => {
  expect([await isServed('127.0.0.1', metricsUrl), await isServed('127.0.0.2', metricsUrl)]).toEqual([true, false]);
});

test('are served on METRICS_HOST', async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/metrics`;
  const own = await startService({
    DATABASE_URL: database.url,
    MASTER_KEYS: masterKeys,
    METRICS_HOST: '127.0.0.2',
    METRICS_PORT: String(port),
  });
  try {
    expect([await isServed('127.0.0.1', url), await isServed('127.0.0.2', url)]).toEqual([false, true]);
  } finally {
    await own.stop();
  }
});

test('a process whose metrics port is in use logs it and serves requests', async () => {
  const holder = createServer().listen(await freePort(), '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  const second = await startService({
    DATABASE_URL: database.url,
    MASTER_KEYS: masterKeys,
    METRICS_PORT: String(port),
  });
  try {
    expect(second.lines.filter((line) => line.includes('metrics are disabled'))).toHaveLength(1);
    expect((await second.get('/healthz')).status).toBe(200);
  } finally {
    await second.stop();
    holder.close();
  }
});

test('a metric that cannot be collected is 500 and logged, and the process continues', async () => {
  const registry = new Registry();
  let isBroken = true;
  const collect = () => {
    if (isBroken) throw new Error('broken');
  };
  registry.registerMetric(new Gauge({ name: 'sometimes', help: 'sometimes', registers: [], collect }));
  const log = makeLogger({ level: 'silent', pretty: false });
  const errors: string[] = [];
  log.error = (_facts: unknown, message?: string) => void errors.push(message ?? '');
  const server = await serveMetrics(registry, '127.0.0.1', 0, log);
  const status = async () => (await fetch(`http://127.0.0.1:${server.port}/metrics`)).status;
  expect([await status(), errors]).toEqual([500, ['the metrics could not be collected']]);
  isBroken = false;
  expect(await status()).toBe(200);
  server.close();
});
