// Clients of the service behind a network that can be told to fail.
import { expect } from '@jest/globals';
import {
  type Client,
  type ClientOptions,
  createClient,
  KeyturnError,
  type TokenStorage,
} from '../../src/client/index.ts';
import { freshEmail, password, startApp, type Settings, type TestApp } from '../harness.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faulty-proxy.ts';

export interface World {
  app: TestApp;
  proxy: FaultyProxy;
  close(): Promise<void>;
}

export async function startWorld(settings: Settings = {}): Promise<World> {
  const app = await startApp(settings);
  const proxy = await startFaultyProxy(app.baseUrl);
  return {
    app,
    proxy,
    async close() {
      await proxy.close();
      await app.close();
    },
  };
}

/** A storage as slow as a phone's, that remembers all that it was told. */
export interface TestStorage extends TokenStorage {
  token: string | undefined;
  /** `set` with the token, or `remove`. */
  writes: string[];
  failing: Set<'get' | 'set' | 'remove'>;
}

export function makeStorage(): TestStorage {
  const use = async (name: 'get' | 'set' | 'remove') => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (storage.failing.has(name)) throw new Error('the keychain is locked');
  };
  const storage: TestStorage = {
    token: undefined,
    writes: [],
    failing: new Set(),
    async get() {
      await use('get');
      return storage.token;
    },
    async set(token: string) {
      await use('set');
      storage.writes.push(token);
      storage.token = token;
    },
    async remove() {
      await use('remove');
      storage.writes.push('removed');
      storage.token = undefined;
    },
  };
  return storage;
}

export interface TestClient extends Client {
  storage: TestStorage;
  /** What the app was told, in order: session ids, and reasons. */
  told: string[];
}

export type TestClientOptions = Partial<Omit<ClientOptions, 'transport' | 'storage'>> & { storage?: TestStorage };

export function makeTestClient({ proxy }: World, options: TestClientOptions = {}): TestClient {
  const { storage = makeStorage(), ...others } = options;
  const told: string[] = [];
  const client = createClient({
    baseUrl: proxy.baseUrl,
    timeoutMs: 1000,
    onSignedIn: ({ sessionId }) => void told.push(sessionId),
    onSignedOut: (reason) => void told.push(reason),
    ...others,
    transport: 'body',
    storage,
  });
  return Object.assign(client, { storage, told });
}

export interface SignedIn {
  client: TestClient;
  email: string;
  sessionId: string;
}

/** A new account, signed in. */
export async function signUp(world: World, options: TestClientOptions = {}): Promise<SignedIn> {
  const client = makeTestClient(world, options);
  const email = freshEmail();
  await client.register({ email, password, display_name: 'Ada Lovelace' });
  return { client, email, sessionId: client.session?.sessionId ?? '' };
}

/** The same app, started again: nothing is left but its storage. */
export const reload = (world: World, { storage }: TestClient, options: TestClientOptions = {}): TestClient =>
  makeTestClient(world, { ...options, storage });

export const refreshesOf = ({ proxy }: World) => proxy.seen.filter(({ path }) => path === '/refresh');

/** How a promise is rejected. */
export async function errorOf(promise: Promise<unknown>): Promise<KeyturnError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KeyturnError);
  return error as KeyturnError;
}

/** Lets what is queued run: the app is told of things after they have happened. */
export const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
