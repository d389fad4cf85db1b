import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { startAttack, stopAttacks, unlimited } from './attack.ts';

let app: TestApp;
let accepted = 0;
beforeAll(async () => {
  // Node can miss a reset before it accepts the connection. The timeouts then close it.
  app = await startApp(unlimited, { limits: { headersMs: 2000, keepAliveMs: 500, sweepMs: 100 } });
  app.server.on('connection', () => (accepted += 1));
});
afterAll(() => app.close());
afterEach(stopAttacks);

const openConnections = () => promisify(app.server.getConnections.bind(app.server))();

/** Connections that their clients have already reset wait in the backlog of the listening socket, and each still costs its requests. */
async function waitUntilAllAccepted(): Promise<void> {
  for (let before = -1; before < accepted; await sleep(500)) before = accepted;
}

async function waitUntilAllClosed(): Promise<void> {
  await waitUntilAllAccepted();
  for (let tries = 0; (await openConnections()) > 0 && tries < 200; tries += 1) await sleep(50);
  expect(await openConnections()).toBe(0);
}

/** Number of listeners on objects that outlive a request. */
const listeners = () =>
  [app.server, process].map((emitter) => emitter.eventNames().map((name) => emitter.listenerCount(name)));

const body = JSON.stringify({ email: freshEmail(), password });
const head = (line: string, length = 0) =>
  `${line} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

test.each([
  ['in the middle of their headers', head('POST /login').slice(0, -4), false],
  ['in the middle of their body', head('POST /login', body.length) + body.slice(0, 10), false],
  ['while their password is hashed', head('POST /login', body.length) + body, false],
  ['in the middle of a response', head('GET /openapi.json').repeat(4), true],
])(
  '1,000 clients that disconnect %s leave no connections and no listeners',
  async (_, opening, neverReads) => {
    await app.get('/healthz');
    const before = listeners();
    const attack = await startAttack(app.baseUrl, { connections: 1000, opening, neverReads, abortsAfterMs: 30 });
    const { open } = await attack.until((report) => report.ended === 1000, 20_000);
    expect(open).toBe(0);
    await attack.stop();
    await waitUntilAllClosed();
    expect(listeners()).toEqual(before);
    expect((await app.register()).scope).toBe('profile sessions');
  },
  60_000,
);
