// The service behind a proxy that can fail, and clients of it.
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import {
  type Client,
  type ClientOptions,
  createClient,
  KeyturnError,
  type TokenStorage,
} from '../../src/client/index.ts';
import { freshEmail, password, startApp, type Settings, type TestApp } from '../harness.ts';
import { type Fault, type FaultyProxy, type ProxiedRequest, startFaultyProxy } from '../support/faulty-proxy.ts';
import { readSession } from '../support/session-rows.ts';

export const displayName = 'Ada Lovelace';

export interface Backend {
  readonly app: TestApp;
  readonly proxy: FaultyProxy;
  /** Applies the faults to the next requests to `path`, in this order; undefined lets a request through. */
  failNext(path: string, ...faults: (Fault | undefined)[]): void;
  failAll(fault: Fault): void;
  recover(): void;
  requestsTo(path: string): ProxiedRequest[];
  untilRequested(path: string): Promise<void>;
  revokedReason(sessionId: string): Promise<string | null>;
}

/** Starts the service for the tests of a file. Forgets faults and requests after each test. */
export function useBackend(settings: Settings = {}): Backend {
  let app: TestApp;
  let proxy: FaultyProxy;
  beforeAll(async () => {
    app = await startApp(settings);
    proxy = await startFaultyProxy(app.baseUrl);
  });
  afterAll(async () => {
    await proxy.close();
    await app.close();
  });
  afterEach(() => {
    backend.recover();
    proxy.requests.length = 0;
  });
  const backend: Backend = {
    get app() {
      return app;
    },
    get proxy() {
      return proxy;
    },
    failNext: (path, ...faults) => void (proxy.faultRule = (call) => (call.path === path ? faults.shift() : undefined)),
    failAll: (fault) => void (proxy.faultRule = () => fault),
    recover: () => void (proxy.faultRule = () => undefined),
    requestsTo: (path) => proxy.requests.filter((request) => request.path === path),
    async untilRequested(path) {
      while (backend.requestsTo(path).length === 0) await flushCallbacks();
    },
    revokedReason: async (sessionId) => (await readSession(app.sql, sessionId)).revokedReason,
  };
  return backend;
}

/** An asynchronous storage that records its writes and can fail. */
export interface TestStorage extends TokenStorage {
  token: string | undefined;
  /** Each token that was set, and `removed` for each removal. */
  writes: string[];
  failing: Set<'get' | 'set' | 'remove'>;
}

export function makeStorage(): TestStorage {
  const operate = async (name: 'get' | 'set' | 'remove') => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (storage.failing.has(name)) throw new Error('the keychain is locked');
  };
  const storage: TestStorage = {
    token: undefined,
    writes: [],
    failing: new Set(),
    async get() {
      await operate('get');
      return storage.token;
    },
    async set(token: string) {
      await operate('set');
      storage.writes.push(token);
      storage.token = token;
    },
    async remove() {
      await operate('remove');
      storage.writes.push('removed');
      storage.token = undefined;
    },
  };
  return storage;
}

/** Records the events of a client: the id of each session that began, and the reason of each sign-out. */
export function recordEvents() {
  const events: string[] = [];
  return {
    events,
    onSignedIn: ({ sessionId }: { sessionId: string }) => void events.push(sessionId),
    onSignedOut: (reason: string) => void events.push(reason),
  };
}

export interface TestClient extends Client {
  storage: TestStorage;
  events: string[];
}

export type TestClientOptions = Partial<Omit<ClientOptions, 'transport' | 'storage'>> & { storage?: TestStorage };

export function makeTestClient({ proxy }: Backend, options: TestClientOptions = {}): TestClient {
  const { storage = makeStorage(), ...others } = options;
  const { events, ...callbacks } = recordEvents();
  const client = createClient({
    baseUrl: proxy.baseUrl,
    timeoutMs: 5000,
    ...callbacks,
    ...others,
    transport: 'body',
    storage,
  });
  return Object.assign(client, { storage, events });
}

export interface SignedUp {
  client: TestClient;
  email: string;
  sessionId: string;
}

/** Creates an account and a client that is signed in to it. */
export async function signUp(backend: Backend, options: TestClientOptions = {}): Promise<SignedUp> {
  const client = makeTestClient(backend, options);
  const email = freshEmail();
  await client.register({ email, password, display_name: displayName });
  return { client, email, sessionId: client.session?.sessionId ?? '' };
}

/** Restarts the app: the new client has only the storage of the old one. */
export const restart = (backend: Backend, { storage }: TestClient, options: TestClientOptions = {}): TestClient =>
  makeTestClient(backend, { ...options, storage });

/** Returns the error that the promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<KeyturnError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KeyturnError);
  return error as KeyturnError;
}

/** Waits until queued callbacks of clients have run. */
export const flushCallbacks = () => new Promise((resolve) => setTimeout(resolve, 5));
