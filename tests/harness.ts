// The app in this process, on a new Postgres database, with an adjustable clock. Asserts that openapi.yaml documents each response.
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
import type { CheckSchema } from '../src/features/health/readiness.ts';
import type { ConnectionLimits } from '../src/http/server/connections.ts';
import { listen } from '../src/http/server/server.ts';
import { type Clock, systemClock } from '../src/lib/clock.ts';
import { type Logger, makeLogger } from '../src/platform/log.ts';
import type { Mailer } from '../src/platform/mailer.ts';
import { openInfrastructure } from '../src/infrastructure.ts';
import { type Builders, makeBuilders } from './support/builders.ts';
import { createDatabase } from './support/database.ts';
import { expectDocumented } from './support/documented.ts';
import { type SentEmail, makeMailbox, failWithoutEmail } from './support/mailbox.ts';
import { password } from './support/password.ts';
import { openRows, type Rows } from './support/rows/index.ts';

export { password };

/** The OWASP minimum, for processes. The configuration refuses less. */
export const cheapHashes = { ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2', ARGON2_PARALLELISM: '1' } as const;

/** For the app in this process: otherwise tests would spend most of their time hashing. */
const tinyHashes = { memoryKib: 64, iterations: 1, parallelism: 1 };

/** For tests of other subjects, because all requests have one IP address. */
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
/** An email address that no other test uses. */
export const freshEmail = (): string =>
  `ada.${process.pid}.${(accounts += 1)}.${randomBytes(3).toString('hex')}@example.com`;

/** Calls a service over HTTP, and asserts that openapi.yaml documents each response. */
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
    /** Creates an account with a live session. */
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

export interface TestApp extends Client, Builders {
  baseUrl: string;
  server: Server;
  config: Config;
  clock: SteppedClock;
  keyring: Keyring;
  emailWorker: EmailWorker;
  /** Checks the schema, as the service does every ten seconds. */
  checkSchema: CheckSchema;
  /** Delivers due emails, and returns all emails so far, or those to `address`. */
  emails(address?: string): Promise<SentEmail[]>;
  /** Delivers due emails, and returns the newest to `address`. @throws if none was sent since the last call */
  nextEmail(address: string): Promise<SentEmail>;
  /** Direct access to the database. */
  db: Rows;
  /** A pool of connections to the database, for what `db` does not offer. */
  sql: pg.Pool;
  databaseUrl: string;
  close(): Promise<void>;
}

export interface StartOptions {
  log?: Logger;
  databaseUrl?: string;
  port?: number;
  limits?: Partial<ConnectionLimits>;
  /** Runs the signing key worker; otherwise keys change only at the start. */
  runsSigningKeyWorker?: boolean;
  /** Checks Postgres every second for `/readyz`; otherwise it is reported as down. */
  runsDatabaseMonitor?: boolean;
  /** Runs the email worker; otherwise `emails` and `nextEmail` deliver. */
  runsEmailWorker?: boolean;
  /** Replaces the mailbox; null: emails are disabled. */
  mailer?: Mailer | null;
}

const mailerOf = ({ mailer }: StartOptions, mailbox: Mailer): Mailer | undefined =>
  mailer === undefined ? mailbox : (mailer ?? undefined);

/** Starts the app in this process. `settings` are environment variables. */
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
  const loaded = await loadConfig('development', {}, environment);
  const isAboutHashes = Object.keys(settings).some((name) => name.startsWith('ARGON2_'));
  const config = isAboutHashes ? loaded : { ...loaded, hashing: { ...loaded.hashing, ...tinyHashes } };
  const log = options.log ?? makeLogger({ level: 'silent', pretty: false });
  const mailbox = makeMailbox();
  const infrastructure = { ...openInfrastructure(config, log), mailer: mailerOf(options, mailbox) };
  const clock = steppedClock();
  const blocklist = await loadBlocklist(config.passwordBlocklistFile);
  const { express, container } = makeApp({
    config,
    infrastructure,
    log,
    clock,
    blocklist,
    checkResponses: true,
  });
  const { keyring, signingKeyWorker, emailWorker, databaseMonitor, checkSchema, readiness } = container;
  readiness.migrations = 'applied';
  await keyring.load();
  if (options.runsSigningKeyWorker) signingKeyWorker.start();
  if (options.runsEmailWorker) emailWorker.start();
  if (options.runsDatabaseMonitor) await databaseMonitor.start();
  const server = await listen(express, '127.0.0.1', options.port ?? 0, { limits: options.limits ?? {} });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  sql.on('error', () => {});
  const client = makeClient(baseUrl);
  const db = openRows(sql);
  return {
    ...client,
    ...makeBuilders(client, db),
    baseUrl,
    server,
    config,
    clock,
    keyring,
    emailWorker,
    checkSchema,
    async emails(address) {
      await emailWorker.deliverDue();
      return mailbox.sent.filter(({ to }) => address === undefined || to === address);
    },
    async nextEmail(address) {
      await emailWorker.deliverDue();
      return mailbox.take(address) ?? (await failWithoutEmail(sql, address));
    },
    db,
    sql,
    databaseUrl,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await sql.end();
      await emailWorker.stop();
      databaseMonitor.stop();
      await signingKeyWorker.stop();
      await infrastructure.close();
      await database?.drop();
    },
  };
}
