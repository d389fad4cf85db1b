// The app on a fresh real Postgres database, with a clock that tests can step. Every answer is held to openapi.yaml.
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import request, { type Response } from 'supertest';
import { makeApp } from '../src/app.ts';
import { type Config, loadConfig, type VariableName } from '../src/config.ts';
import { loadBlocklist } from '../src/core/users/password-policy.ts';
import type { EmailWorker } from '../src/core/email/email-worker.ts';
import type { Keyring } from '../src/core/signing-keys/keyring.ts';
import type { ConnectionLimits } from '../src/http/server/connections.ts';
import { listen } from '../src/http/server/server.ts';
import { type Clock, systemClock } from '../src/lib/clock.ts';
import { type Logger, makeLogger } from '../src/platform/log.ts';
import type { Mailer } from '../src/platform/mailer.ts';
import { openInfrastructure } from '../src/infrastructure.ts';
import { createDatabase } from './support/database.ts';
import { expectDocumented } from './support/documented.ts';
import { type Mail, makeMailbox, noMail } from './support/mailbox.ts';

export const password = 'correct horse battery staple';

/** OWASP's floor, so that tests spend their time elsewhere. */
export const cheapHashes = { ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2', ARGON2_PARALLELISM: '1' } as const;

/** For tests of other things: they all come from one address. */
export const generousLimits = {
  RATE_LIMIT_LOGIN: '1000000/1m',
  RATE_LIMIT_REGISTER: '1000000/1m',
  RATE_LIMIT_REFRESH: '1000000/1m',
  RATE_LIMIT_MAIL: '1000000/1m',
  RATE_LIMIT_DEFAULT: '1000000/1m',
  LOCKOUT_ATTEMPTS: '1000000',
  LOCKOUT_TOTAL: '1000000',
} as const;

export type Settings = Partial<Record<VariableName, string>>;

export interface SteppedClock extends Clock {
  step(seconds: number): void;
}

export function steppedClock(): SteppedClock {
  let offsetMs = 0;
  return {
    nowMs: () => systemClock.nowMs() + offsetMs,
    nowSeconds: () => Math.floor((systemClock.nowMs() + offsetMs) / 1000),
    step: (seconds) => void (offsetMs += seconds * 1000),
  };
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  session_id: string;
  scope: string;
  [member: string]: unknown;
}

export interface Account extends Tokens {
  email: string;
  user: { id: string; [member: string]: unknown };
}

export interface CallOptions {
  body?: unknown;
  token?: string | undefined;
  headers?: Record<string, string>;
}

let accounts = 0;
/** An address that no other test has. */
export const freshEmail = (): string =>
  `ada.${process.pid}.${(accounts += 1)}.${randomBytes(3).toString('hex')}@example.com`;

/** Calls a service over HTTP and holds what it answers to the OpenAPI document. */
export function makeClient(baseUrl: string) {
  const call = async (
    method: 'get' | 'post' | 'patch' | 'delete' | 'put',
    path: string,
    options: CallOptions = {},
  ): Promise<Response> => {
    const { body, token, headers = {} } = options;
    let pending = request(baseUrl)[method](path).set(headers);
    if (token !== undefined) pending = pending.set('authorization', `Bearer ${token}`);
    const response = await (body === undefined ? pending : pending.send(body as object));
    expectDocumented(method, path, response);
    return response;
  };
  return {
    call,
    get: (path: string, token?: string, headers?: Record<string, string>) =>
      call('get', path, { token, headers: headers ?? {} }),
    post: (path: string, body?: unknown, token?: string) => call('post', path, { body, token }),
    refresh: (refreshToken: string) => call('post', '/refresh', { body: { refresh_token: refreshToken } }),
    login: (email: string, secret = password) => call('post', '/login', { body: { email, password: secret } }),
    /** A new account with a live session. */
    async register(extra: Record<string, unknown> = {}): Promise<Account> {
      const email = freshEmail();
      const response = await call('post', '/register', {
        body: { email, password, display_name: 'Ada Lovelace', ...extra },
      });
      if (response.status !== 201) throw new Error(`register: ${response.status} ${response.text}`);
      return { ...(response.body as Account), email };
    },
  };
}

export type Client = ReturnType<typeof makeClient>;

export interface TestApp extends Client {
  baseUrl: string;
  server: Server;
  config: Config;
  clock: SteppedClock;
  keyring: Keyring;
  emailWorker: EmailWorker;
  /** Delivers what is due, and gives all that was ever sent: to `address`, if it is given. */
  mails(address?: string): Promise<Mail[]>;
  /** Delivers what is due, and gives the newest mail to `address`. @throws where none came since the last call */
  nextMail(address: string): Promise<Mail>;
  /** Straight to the database, past the app. */
  sql: pg.Pool;
  databaseUrl: string;
  close(): Promise<void>;
}

export interface StartOptions {
  log?: Logger;
  databaseUrl?: string;
  port?: number;
  limits?: Partial<ConnectionLimits>;
  /** Whether it tends its signing keys, as the service does; else only at the start. */
  tendsKeys?: boolean;
  /** Whether it delivers mails by itself, as the service does; else when they are asked for. */
  delivers?: boolean;
  /** In place of the mailbox that keeps them; null: no mail is sent. */
  mailer?: Mailer | null;
}

const mailerOf = ({ mailer }: StartOptions, mailbox: Mailer): Mailer | undefined =>
  mailer === undefined ? mailbox : (mailer ?? undefined);

/** Starts the app in this process; `settings` are environment variables. */
export async function startApp(settings: Settings = {}, options: StartOptions = {}): Promise<TestApp> {
  const database = options.databaseUrl ? undefined : await createDatabase();
  const databaseUrl = options.databaseUrl ?? database?.url ?? '';
  const environment = {
    DATABASE_URL: databaseUrl,
    MASTER_KEYS: randomBytes(32).toString('base64url'),
    ...cheapHashes,
    ...generousLimits,
    ...settings,
  };
  const config = await loadConfig('development', {}, environment);
  const log = options.log ?? makeLogger({ level: 'silent', pretty: false });
  const mailbox = makeMailbox();
  const infrastructure = { ...openInfrastructure(config, log), mailer: mailerOf(options, mailbox) };
  const clock = steppedClock();
  const blocklist = await loadBlocklist(config.passwordBlocklistFile);
  const { express, keyring, signingKeyWorker, emailWorker, readiness } = makeApp({
    config,
    infrastructure,
    log,
    clock,
    blocklist,
    checkResponses: true,
  });
  readiness.migrated = true;
  await keyring.load();
  if (options.tendsKeys) signingKeyWorker.start();
  if (options.delivers) emailWorker.start();
  const server = await listen(express, '127.0.0.1', options.port ?? 0, { limits: options.limits ?? {} });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  sql.on('error', () => {});
  return {
    ...makeClient(baseUrl),
    baseUrl,
    server,
    config,
    clock,
    keyring,
    emailWorker,
    async mails(address) {
      await emailWorker.deliverDue();
      return mailbox.sent.filter(({ to }) => address === undefined || to === address);
    },
    async nextMail(address) {
      await emailWorker.deliverDue();
      return mailbox.take(address) ?? (await noMail(sql, address));
    },
    sql,
    databaseUrl,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await sql.end();
      await emailWorker.stop();
      await signingKeyWorker.stop();
      await infrastructure.close();
      await database?.drop();
    },
  };
}
