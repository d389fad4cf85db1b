// A tab that never releases the lock between tabs, as while it shows an alert.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generationOf } from '../support/refresh-tokens.ts';
import {
  type Backend,
  flushCallbacks,
  makeStorage,
  makeTestClient,
  signUp,
  type TestClient,
  type TestClientOptions,
  useBackend,
} from './support.ts';

type Task = (lock: object | null) => Promise<unknown>;

/** The Web Locks API for the tabs of one browser. */
function makeLocks() {
  const queues = new Map<string, (() => void)[]>();
  const requests: string[] = [];
  const run = async (name: string, task: Task) => {
    try {
      return await task({ name });
    } finally {
      const [next, ...others] = queues.get(name) ?? [];
      if (next) {
        queues.set(name, others);
        next();
      } else queues.delete(name);
    }
  };
  return {
    requests,
    async request(
      name: string,
      options: { signal?: AbortSignal; ifAvailable?: boolean },
      task: Task,
    ): Promise<unknown> {
      requests.push(options.ifAvailable ? 'if available' : 'waiting');
      const queue = queues.get(name);
      if (!queue) {
        queues.set(name, []);
        return run(name, task);
      }
      if (options.ifAvailable) return task(null);
      await new Promise<void>((resolve, reject) => {
        const abort = () => {
          const waiting = queues.get(name) ?? [];
          queues.set(
            name,
            waiting.filter((enter) => enter !== resolve),
          );
          reject(new DOMException('The request was aborted.', 'AbortError'));
        };
        if (options.signal?.aborted) abort();
        else {
          queues.set(name, [...(queues.get(name) ?? []), resolve]);
          options.signal?.addEventListener('abort', abort);
        }
      });
      return run(name, task);
    },
  };
}

let channels = 0;
let channelName: string;
/** Waits for the lock for 150 ms. */
let options: TestClientOptions;
let opened: TestClient[] = [];
const backend: Backend = useBackend();
let locks: ReturnType<typeof makeLocks>;
const original = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
beforeEach(() => {
  locks = makeLocks();
  channelName = `tabs ${(channels += 1)}`;
  options = { channelName, retryTimeoutMs: 300 };
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
});
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
  if (original) Object.defineProperty(globalThis, 'navigator', original);
  else Reflect.deleteProperty(globalThis, 'navigator');
});

/** Takes the lock as a tab that stops running its scripts. Returns a function that releases it. */
async function holdLock(): Promise<() => void> {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  void locks.request(channelName, {}, () => held);
  await flushCallbacks();
  return release;
}

/** Opens a tab with the storage of another one. */
function openTab({ storage }: Pick<TestClient, 'storage'>, others: TestClientOptions = options): TestClient {
  const client = makeTestClient(backend, { ...others, storage });
  opened.push(client);
  return client;
}

async function openSignedIn(others: TestClientOptions = options) {
  const signedUp = await signUp(backend, others);
  opened.push(signedUp.client);
  return signedUp;
}

/** Opens a tab whose scripts stop when the response of its refresh has arrived, before it is stored. */
async function openStuckTab(client: TestClient) {
  let continueTab = () => {};
  const alert = new Promise<void>((resolve) => (continueTab = resolve));
  const stuck = openTab(client, {
    ...options,
    timeoutMs: 15_000,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      await alert;
      return response;
    },
  });
  const resumed = stuck.resume();
  await backend.untilRequested('/refresh');
  return { resumed, continueTab };
}

describe('while another tab keeps the lock', () => {
  test('resume, login, register and logout continue without it', async () => {
    const { client, email, sessionId } = await openSignedIn();
    const release = await holdLock();
    const reloaded = openTab(client);
    expect(await reloaded.resume()).toMatchObject({ sessionId });
    const { sessionId: second } = await reloaded.login({ email, password: 'correct horse battery staple' });
    expect(await backend.revokedReason(sessionId)).toBe('replaced_by_login');
    expect((await reloaded.fetch('/me')).status).toBe(200);
    await reloaded.logout();
    expect(await backend.revokedReason(second)).toBe('logout');
    expect((await openSignedIn()).client.session).not.toBeNull();
    release();
  });

  test('a tab waits for it once, and again after it was released', async () => {
    const { client } = await openSignedIn();
    const release = await holdLock();
    locks.requests.length = 0;
    const reloaded = openTab(client);
    await reloaded.resume();
    await reloaded.logout();
    expect(locks.requests).toEqual(['waiting', 'if available']);
    client.close(); // it would also refresh after the registration
    release();
    await flushCallbacks();
    const email = `${crypto.randomUUID()}@example.com`;
    await reloaded.register({ email, password: 'correct horse battery staple', display_name: 'Ada' });
    await reloaded.logout();
    expect(locks.requests.slice(2)).toEqual(['if available', 'waiting']);
  });
});

test('a tab that responds within the time is waited for', async () => {
  const { client, sessionId } = await openSignedIn({ channelName });
  const release = await holdLock();
  const reloaded = openTab(client, { channelName });
  const resumed = reloaded.resume();
  for (let turn = 0; turn < 5; turn += 1) await flushCallbacks();
  expect(backend.requestsTo('/refresh')).toHaveLength(0);
  release();
  expect(await resumed).toMatchObject({ sessionId });
});

test('a failure of a task that has the lock does not run the task again', async () => {
  const client = openTab({ storage: makeStorage() });
  const wrong = { email: 'nobody@example.com', password: 'a wrong password' };
  await expect(client.login(wrong)).rejects.toMatchObject({ code: 'invalid_credentials' });
  expect(backend.requestsTo('/login')).toHaveLength(1);
});

test('a tab that continues after its alert does not overwrite a newer refresh token', async () => {
  const { client, sessionId } = await openSignedIn();
  const { storage } = client;
  const first = storage.token;
  const { resumed, continueTab } = await openStuckTab(client);

  const others = [openTab(client), openTab(client)];
  for (const other of others) expect(await other.resume()).toMatchObject({ sessionId });
  const newest = storage.token ?? '';
  expect([generationOf(newest), newest === first]).toEqual([2, false]);

  continueTab();
  expect(await resumed).toMatchObject({ sessionId });
  expect(generationOf(storage.token ?? '')).toBeGreaterThan(2);
  expect(await openTab(client).resume()).toMatchObject({ sessionId });
});

test('a tab that continues after its alert does not restore a token that a logout removed', async () => {
  const { client } = await openSignedIn();
  const { resumed, continueTab } = await openStuckTab(client);
  await openTab(client).logout();
  continueTab();
  expect(await resumed).toBeNull();
  expect(client.storage.token).toBeUndefined();
});
