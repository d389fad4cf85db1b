import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { password } from '../harness.ts';
import { operations } from '../http/operations.ts';
import { newPassword, takeTour, type Tour } from '../http/tour.ts';
import { exchange, send } from '../http/wire.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { productionSettings, type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';

interface Line {
  [field: string]: unknown;
  level: string;
  time: string;
}

/** Part of everything that a client chooses: query, path, headers, bodies, member names. */
const mark = 'canary7f3a';
/** Characters that control a terminal or split lines: CR, LF, ESC, BEL, CSI as C1, NEL, LINE SEPARATOR. */
const controls = '\r\n\u001b[31m\u0007\u009b31m\u0085\u2028\u2029';

const masterKeys = productionSettings().MASTER_KEYS ?? '';
let database: TestDatabase;
let service: ServiceProcess;
let tour: Tour;
let raw = '';
let errors = '';
let lines: Line[];

beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ DATABASE_URL: database.url, MASTER_KEYS: masterKeys, LOG_LEVEL: 'trace' });
  service.child.stdout?.setEncoding('utf8').on('data', (text: string) => (raw += text));
  service.child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await waitUntilReady(service);
  tour = await takeTour(service, mark);
  await beHostile();
  const closed = once(service.child, 'close');
  await service.stop();
  await closed;
  lines = raw
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}, 40_000);
afterAll(async () => {
  if (service.child.exitCode === null) await service.kill();
  await database.drop();
});

/** Control characters everywhere that HTTP and JSON allow them. */
async function beHostile(): Promise<void> {
  const { baseUrl } = service;
  const headers = {
    'content-type': 'application/json',
    'user-agent': Buffer.from(`${mark}\u009b31m`, 'utf8').toString('latin1'),
  };
  const bodies = [
    { email: `${mark}${controls}@example.com`, password: `${mark}${controls}` },
    { email: 'ada@example.com', password: mark, [`${mark}${controls}`]: mark },
    { [`${mark}${controls}`.repeat(20)]: mark },
  ];
  for (const body of bodies)
    await send(baseUrl, `/login?${mark}`, { method: 'POST', headers, body: JSON.stringify(body) });
  await send(baseUrl, '/login', { method: 'POST', headers, body: `{"${mark}` });
  await send(baseUrl, `/${encodeURIComponent(controls)}${mark}`, { headers: { 'x-request-id': `${mark} [31m` } });
  await send(baseUrl, `/sessions/%zz${mark}`, { method: 'DELETE' });
  await exchange(
    baseUrl,
    Buffer.from(`GET /${mark}${controls} HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${mark}\u001b[31m\r\n\r\n`),
  );
  await exchange(baseUrl, `POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n${mark}`);
}

const requests = () => lines.filter(({ request_id: id }) => id !== undefined);

test('every line of stdout is one JSON object with a level and a time, and stderr stays empty', () => {
  expect(lines.length).toBeGreaterThan(tour.stops.length);
  for (const line of lines) {
    expect(line).toMatchObject({ level: expect.stringMatching(/^[a-z]+$/), time: expect.any(String) });
    expect(new Date(line.time).toISOString()).toBe(line.time);
  }
  expect(errors).toBe('');
});

test('every request has one line with exactly id, method, route, status and time', () => {
  const byId = new Map(requests().map((line) => [line['request_id'], line]));
  for (const { operation, response } of tour.stops) {
    const { template, method } = operations.find(({ id }) => id === operation) ?? {};
    expect(byId.get(response.headers['x-request-id'])).toMatchObject({
      method,
      route: template?.replace(/\{(\w+)\}/g, ':$1'),
      status: response.status,
      ms: expect.any(Number),
    });
  }
  const fields = [
    'level',
    'time',
    'request_id',
    'method',
    'route',
    'status',
    'ms',
    'user_id',
    'session_id',
    'code',
    'reason',
  ];
  expect(
    requests()
      .flatMap((line) => Object.keys(line))
      .filter((field) => !fields.includes(field)),
  ).toEqual([]);
});

test('a line names the user and the session once they are known', () => {
  const registered: unknown = tour.stops[0]?.response.body;
  const { user, session_id: sessionId } = registered as { user: { id: string }; session_id: string };
  const routes = requests()
    .filter(({ user_id: id }) => id === user.id)
    .map(({ route }) => route);
  const knowing = [
    '/register',
    '/login',
    '/refresh',
    '/me',
    '/sessions',
    '/sessions/:id',
    '/me/password',
    '/logout/all',
    '/me/delete',
  ];
  expect(routes).toEqual(expect.arrayContaining(knowing));
  expect(requests().filter(({ session_id: id }) => id === sessionId).length).toBeGreaterThan(5);
});

test('the line of an error has its code and reason', () => {
  const refused = requests().filter(({ status }) => Number(status) >= 400 && Number(status) !== 499);
  expect(refused.length).toBeGreaterThan(10);
  for (const line of refused)
    expect(line).toMatchObject({ code: expect.stringMatching(/^[a-z_]+$/), reason: expect.any(String) });
  const reasons = refused.map(({ reason }) => reason);
  expect(reasons).toEqual(expect.arrayContaining(['unknown_account', 'wrong_password', 'missing', 'signature']));
});

test('no line contains a secret or client-chosen text', () => {
  expect(tour.secrets).toEqual(expect.arrayContaining([password, newPassword]));
  expect(tour.secrets.length).toBeGreaterThan(8);
  const everything = raw + errors;
  for (const secret of [...tour.secrets, masterKeys, mark, 'ada.', '@example.com', new URL(database.url).password])
    expect([secret, everything.includes(secret)]).toEqual([secret, false]);
  expect(everything).not.toMatch(/ktr_|eyJ[\w-]{10}|Bearer|access_token=|\$argon2/);
});

test('control characters are escaped', () => {
  // oxlint-disable-next-line no-control-regex
  expect(raw.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
});
