// npm run bench:enumeration [-- --samples 300]: whether response times reveal which email addresses have accounts. Interleaves requests
// for known addresses and for two groups of unknown addresses. The difference between the two unknown groups is the noise of this
// machine. The difference between known and unknown addresses must be within it.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hash } from '@node-rs/argon2';
import pg from 'pg';
import { SMTPServer } from 'smtp-server';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../src/platform/migrations.ts';
import { type Server, startService } from './support/processes.ts';

const { values: options } = parseArgs({ options: { samples: { type: 'string', default: '300' } } });
const samples = Number(options.samples);
/** The cheapest hash that the service allows, because an expensive hash hides other differences. */
const hashing = { ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2', ARGON2_PARALLELISM: '1' };
const password = 'correct horse battery staple';
const resamples = 2000;
/** The share of random differences between two unknown groups that are smaller than the spread. */
const confidence = 0.99;

type Group = 'known' | 'unknown' | 'unknown again';
const groups: readonly Group[] = ['known', 'unknown', 'unknown again'];

const calls: Record<string, (email: string) => object> = {
  '/login': (email) => ({ email, password: 'not the password of any account' }),
  '/register': (email) => ({ email, password, display_name: 'Ada Lovelace' }),
  '/forgot-password': (email) => ({ email }),
  '/verify-email/resend': (email) => ({ email }),
};

const unlimited = '1000000/1m';
const settings = (databaseUrl: string, smtpPort: number): Record<string, string> => ({
  HOST: '127.0.0.1',
  PORT: '0',
  METRICS_PORT: '0',
  ISSUER: 'https://auth.example.com',
  TRUST_PROXY: 'off',
  DATABASE_URL: databaseUrl,
  MASTER_KEYS: randomBytes(32).toString('base64url'),
  EMAIL_VERIFICATION: 'required',
  SMTP_URL: `smtp://127.0.0.1:${smtpPort}`,
  MAIL_FROM: 'Keyturn <auth@example.com>',
  RATE_LIMIT_DEFAULT: unlimited,
  RATE_LIMIT_LOGIN: unlimited,
  RATE_LIMIT_REGISTER: unlimited,
  RATE_LIMIT_MAIL: unlimited,
  ...hashing,
});

/** Accepts and discards every email. */
function startSmtp(): Promise<{ port: number; close: () => Promise<void> }> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _, done) => void stream.on('end', done).resume(),
  });
  return new Promise((resolve) => {
    const listening = server.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      resolve({ port, close: () => new Promise((closed) => server.close(() => closed())) });
    });
  });
}

/** Milliseconds from the request to the end of its response, on an open connection. */
function time({ port }: Server, path: string, body: object): Promise<number> {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const call = request({ host: '127.0.0.1', port, path, method: 'POST', headers }, (response) => {
      response.resume().on('end', () => {
        if ([202, 401].includes(response.statusCode ?? 0)) resolve(performance.now() - started);
        else reject(new Error(`${path} responded with ${response.statusCode}`));
      });
    });
    call.on('error', reject).end(text);
  });
}

async function addAccounts(databaseUrl: string, emails: readonly string[]): Promise<void> {
  const passwordHash = await hash(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash) SELECT gen_random_uuid(), email, 'Ada', $2 FROM unnest($1::text[]) AS email`,
    [emails, passwordHash],
  );
  await client.query('ANALYZE').finally(() => client.end());
}

const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
const shuffled = <Item>(items: readonly Item[]): Item[] =>
  items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
const draw = (times: readonly number[], count: number): number[] =>
  Array.from({ length: count }, () => times[Math.floor(Math.random() * times.length)] ?? NaN);

/** The maximum random difference between the medians of two unknown groups (bootstrap). */
function spreadOf(unknown: readonly number[], size: number): number {
  const apart = Array.from({ length: resamples }, () =>
    Math.abs(median(draw(unknown, size)) - median(draw(unknown, 2 * size))),
  );
  return apart.toSorted((a, b) => a - b)[Math.floor(confidence * resamples)] ?? NaN;
}

async function measure(server: Server, path: string, known: readonly string[]): Promise<boolean> {
  const body = calls[path];
  if (!body) throw new Error(`unknown path: ${path}`);
  const fresh = () => `unknown.${randomBytes(6).toString('hex')}@example.com`;
  const times: Record<Group, number[]> = { known: [], unknown: [], 'unknown again': [] };
  for (let warm = 0; warm < 20; warm += 1) await time(server, path, body(fresh()));
  for (const address of shuffled(known))
    for (const group of shuffled(groups))
      times[group].push(await time(server, path, body(group === 'known' ? address : fresh())));
  const unknown = [...times.unknown, ...times['unknown again']];
  const spread = spreadOf(unknown, known.length);
  const difference = median(times.known) - median(unknown);
  const noise = median(times.unknown) - median(times['unknown again']);
  const isWithin = Math.abs(difference) <= spread;
  const us = (ms: number) => `${Math.round(ms * 1000)} µs`.padStart(8);
  console.log(
    `${path.padEnd(22)} median ${us(median(unknown))}  known - unknown ${us(difference)}  unknown - unknown ${us(noise)}  ` +
      `spread ${us(spread)}  ${isWithin ? 'within' : 'OUTSIDE'}`,
  );
  return isWithin;
}

const folder = mkdtempSync(join(tmpdir(), 'keyturn-enumeration-'));
const postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres'), durable: false });
const smtp = await startSmtp();
try {
  await applyMigrations(postgres.url);
  const known = Array.from({ length: samples }, (_, index) => `known.${index}@example.com`);
  await addAccounts(postgres.url, known);
  const server = await startService(settings(postgres.url, smtp.port), join(folder, 'service.log'));
  console.log(
    `${samples} samples per group; within: smaller than ${confidence * 100}% of the random differences between unknown groups`,
  );
  let revealing = 0;
  for (const path of Object.keys(calls)) if (!(await measure(server, path, known))) revealing += 1;
  await server.stop();
  console.log(
    revealing === 0
      ? 'No response time reveals accounts.'
      : `The response times of ${revealing} paths reveal accounts.`,
  );
  process.exitCode = revealing === 0 ? 0 : 1;
} finally {
  await smtp.close();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
