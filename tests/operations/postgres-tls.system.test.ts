// One Postgres with a certificate of its own for all cases: starting one costs a second.
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { loadDirectUrl } from '../../src/config/environment.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { postgresAccount } from '../../src/dev/postgres-binaries.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { parseConnectionUrl } from '../../src/platform/postgres/connection.ts';
import { startApp } from '../harness.ts';
import { makeCertificate } from '../support/certificate.ts';
import { createDatabase, useDatabase } from '../support/database.ts';
import { runCli } from '../support/run-cli.ts';

jest.setTimeout(60_000);

const [serverPair, clientPair, stranger] = [makeCertificate(), makeCertificate(), makeCertificate()];
const hba = `
hostssl   postgres   all  127.0.0.1/32  scram-sha-256
host      template1  all  127.0.0.1/32  reject
hostssl   keyturn    all  127.0.0.1/32  scram-sha-256  clientcert=verify-ca
hostnossl postgres   all  127.0.0.1/32  reject
`;

let folder: string;
let postgres: EmbeddedPostgres;
const path = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-postgres-tls-'));
  await chmod(folder, 0o755); // Postgres may run as another user
  const files = {
    'server.pem': serverPair.cert,
    'server.key': serverPair.key,
    'client.pem': clientPair.cert,
    'client.key': clientPair.key,
    'stranger.pem': stranger.cert,
    'stranger.key': stranger.key,
    'pg_hba.conf': hba,
    'garbage.pem': 'no certificate',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path(name), text);
  await chmod(path('server.key'), 0o600);
  const account = await postgresAccount(path('cluster'));
  if (account.uid !== undefined) await chown(path('server.key'), account.uid, account.gid);
  postgres = await startEmbeddedPostgres({
    directory: path('postgres'),
    durable: false,
    settings: {
      ssl: 'on',
      ssl_cert_file: path('server.pem'),
      ssl_key_file: path('server.key'),
      ssl_ca_file: path('client.pem'),
      hba_file: path('pg_hba.conf'),
    },
  });
  await useDatabase(urlWith('sslmode=verify-full&sslrootcert=server.pem'), (db) => db.server.createDatabase('keyturn'));
  await applyMigrations(urlWith('sslmode=verify-full&sslrootcert=server.pem'));
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true });
});

/** The URL of the server with these parameters, whose file names are completed. */
function urlWith(parameters: string, { host = '127.0.0.1', database = 'postgres' } = {}): string {
  const url = new URL(postgres.url);
  url.hostname = host;
  url.pathname = database;
  url.search = parameters.replaceAll(
    /=([\w-]+\.(?:pem|key))/g,
    (_, name: string) => `=${encodeURIComponent(path(name))}`,
  );
  return url.href;
}

const migrate = async (url: string) => {
  const { code, stdout, stderr } = await runCli({ DATABASE_URL: url }, 'migrate');
  return code === 0 ? stdout.trimEnd() : stderr.trimEnd();
};

describe('sslmode has the meaning of libpq', () => {
  test.each([
    ['sslmode=require', '127.0.0.1'],
    ['sslmode=require', 'localhost'],
    ['sslmode=no-verify', 'localhost'],
    ['sslmode=require&sslrootcert=server.pem', 'localhost'],
    ['sslmode=require&uselibpqcompat=true&channel_binding=prefer', '127.0.0.1'],
    ['sslmode=verify-ca&sslrootcert=server.pem', 'localhost'],
    ['sslmode=verify-full&sslrootcert=server.pem', '127.0.0.1'],
    ['sslrootcert=server.pem', '127.0.0.1'],
  ])('%s connects to %s', async (parameters, host) => {
    expect(await migrate(urlWith(parameters, { host }))).toBe('nothing to apply');
  });

  test.each([
    ['', '127.0.0.1', /pg_hba\.conf rejects connection .*no encryption/],
    ['sslmode=disable', '127.0.0.1', /no encryption/],
    ['sslmode=require&sslrootcert=stranger.pem', '127.0.0.1', /self-signed certificate/],
    ['sslmode=verify-ca&sslrootcert=stranger.pem', '127.0.0.1', /self-signed certificate/],
    ['sslmode=verify-full&sslrootcert=stranger.pem', '127.0.0.1', /self-signed certificate/],
    ['sslmode=verify-full', '127.0.0.1', /self-signed certificate/],
    ['sslmode=verify-full&sslrootcert=system', '127.0.0.1', /self-signed certificate/],
    ['sslmode=require&sslaccept=strict', '127.0.0.1', /self-signed certificate/],
    ['ssl=true', '127.0.0.1', /self-signed certificate/],
    ['sslmode=verify-full&sslrootcert=server.pem', 'localhost', /Host: localhost\. is not/],
    ['sslrootcert=server.pem', 'localhost', /Host: localhost\. is not/],
  ])('"%s" does not connect to %s', async (parameters, host, message) => {
    expect(await migrate(urlWith(parameters, { host }))).toMatch(message);
  });

  test('require does not connect to a server without TLS', async () => {
    const database = await createDatabase();
    expect(await migrate(`${database.url}?sslmode=require`)).toContain('does not offer TLS.');
    expect(await migrate(`${database.url}?sslmode=disable`)).toBe('nothing to apply');
    await database.drop();
  });
});

test.each([
  ['sslmode=disable', false],
  ['sslmode=require', true],
  ['sslmode=no-verify', true],
  ['sslmode=require&sslrootcert=server.pem', false],
  ['sslmode=verify-full', false],
])('%s is known to check no certificate: %s', (parameters, isUnverified) => {
  expect(parseConnectionUrl(urlWith(parameters)).isUnverified).toBe(isUnverified);
});

test.each([
  'sslmode=verify-full',
  'sslmode=verify-ca&sslrootcert=server.pem',
  'sslmode=require&sslrootcert=server.pem',
  'sslrootcert=server.pem',
])('channel_binding=require is accepted with %s, which checks the certificate', (parameters) => {
  const { client, isUnverified } = parseConnectionUrl(urlWith(`${parameters}&channel_binding=require`));
  expect([client.enableChannelBinding, isUnverified]).toEqual([true, false]);
});

test('parameters that change nothing are ignored', () => {
  const plain = parseConnectionUrl(urlWith('')).client;
  const ignored = [
    'gssencmode=disable',
    'gssencmode=prefer',
    'target_session_attrs=any',
    'target_session_attrs=read-write',
    'target_session_attrs=primary',
    'sslnegotiation=postgres',
    'sslnegotiation=direct',
    'tcp_user_timeout=10000',
    'sslaccept=strict',
    'statement_timeout=1',
    'query_timeout=1',
  ];
  for (const parameter of ignored) expect(parseConnectionUrl(urlWith(parameter)).client).toEqual(plain);
});

test('TLS does not apply to a Unix socket', () => {
  for (const url of ['postgresql:///k?host=/run/postgresql&sslmode=require', 'postgresql://%2Frun/k?sslmode=require'])
    expect(parseConnectionUrl(url).client.ssl).toBe(false);
});

test('every connection of the service uses TLS and the client certificate', async () => {
  const url = urlWith('sslmode=verify-full&sslrootcert=server.pem&sslcert=client.pem&sslkey=client.key', {
    database: 'keyturn',
  });
  await applyMigrations(url);
  const app = await startApp({}, { databaseUrl: url, runsSigningKeyWorker: true });
  await app.register();
  const connections = await useDatabase(urlWith('sslmode=verify-full&sslrootcert=server.pem'), (db) =>
    db.server.tlsConnections('keyturn'),
  );
  await app.close();
  expect(connections.map(({ name }) => name)).toEqual(expect.arrayContaining(['keyturn', 'keyturn-listen']));
  expect(connections.filter(({ encrypted, client }) => !encrypted || !client)).toEqual([]);
});

test.each(['', '&sslcert=stranger.pem&sslkey=stranger.key'])(
  'a server can insist on its client certificate, and commands end without it%s',
  async (pair) => {
    const url = urlWith(`sslmode=require${pair}`, { database: 'keyturn' });
    const reasons = /^Error: .*(valid client certificate|unknown ca|closed|terminated|reset)/i;
    expect(await migrate(url)).toMatch(reasons);
    const { code, stderr } = await runCli({ DATABASE_URL: url }, 'keys', 'list');
    expect([code, stderr]).toEqual([1, expect.stringMatching(reasons)]);
  },
);

test.each([
  [
    'sslmode=prefer',
    'must not have the sslmode prefer, which accepts a connection without TLS: use sslmode=require, or verify-full to check the certificate as well, or disable for a server without TLS',
  ],
  [
    'sslmode=allow',
    'must not have the sslmode allow, which accepts a connection without TLS: use sslmode=require, or verify-full to check the certificate as well, or disable for a server without TLS',
  ],
  ['sslmode=Require', 'must have the sslmode disable, require, verify-ca or verify-full'],
  ['sslmode=verify-ca', 'needs sslrootcert with sslmode=verify-ca, or sslmode=verify-full'],
  [
    'sslmode=require&sslrootcert=system',
    'needs sslmode=verify-full with sslrootcert=system: anyone can get a certificate of a public authority',
  ],
  ['sslmode=verify-full&sslrootcert=missing.pem', 'has an sslrootcert that names a file that cannot be read'],
  [
    'sslmode=verify-full&sslrootcert=garbage.pem',
    'has an sslrootcert that names a file without a certificate in PEM format',
  ],
  ['sslmode=require&sslcert=client.pem', 'needs both sslcert and sslkey for a client certificate'],
  [
    'sslmode=require&sslcert=client.pem&sslkey=stranger.key',
    'has an sslcert and an sslkey that do not belong together, are not in PEM format, or need another sslpassword',
  ],
  [
    'sslmode=require&sslcert=garbage.pem&sslkey=client.key',
    'has an sslcert and an sslkey that do not belong together, are not in PEM format, or need another sslpassword',
  ],
  ...['require', 'no-verify', 'disable', 'require&host=/run/postgresql'].map((mode) => [
    `sslmode=${mode}&channel_binding=require`,
    'needs sslmode=verify-full with channel_binding=require, which the service enforces only by checking the certificate',
  ]),
  ['channel_binding=require', 'needs sslmode=verify-full with channel_binding=require'],
  ['sslmode=require&channel_binding=Require', 'must have no channel_binding or one of: disable, prefer, require'],
  ['sslmode=require&sslaccept=accept_invalid_certs', 'must have no sslaccept or one of: strict'],
  ['gssencmode=require', 'must have no gssencmode or one of: disable, prefer'],
  ...['read-only', 'standby', 'prefer-standby', ''].map((value) => [
    `target_session_attrs=${value}`,
    'must have no target_session_attrs or one of: any, read-write, primary',
  ]),
  ['target_session_attrs=any&sslcrl=crl.pem', 'has a parameter that the service does not support: sslcrl. Remove it'],
  ['options=-csearch_path%3Dauth', 'must not set search_path in options. Use schema=… instead'],
  ['schema=', 'must have a schema of 1 to 63 bytes without double quotes'],
  ['schema=a%22b', 'must have a schema of 1 to 63 bytes without double quotes'],
  [`schema=${'é'.repeat(32)}`, 'must have a schema of 1 to 63 bytes without double quotes'],
])('the configuration rejects %s', (parameters, message) => {
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL'])
    expect(() => loadDirectUrl({ [name]: urlWith(parameters) })).toThrow(`${name} ${message}`);
});
