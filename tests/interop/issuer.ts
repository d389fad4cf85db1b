// The real service, and the keys in its database: what it would never sign is signed with them.
import { createHmac, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type Account, startApp, type TestApp } from '../harness.ts';
import { deriveMasterKeys, unseal } from '../../src/lib/master-keys.ts';
import { generateSigningKey, makeSigningKey, type SigningKey } from '../../src/core/signing-keys/signing-key.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import type { Alg } from './verifiers.ts';

export type Members = Record<string, unknown>;

export const audience = 'https://orders.example.com';

const root = Buffer.alloc(32, 7);
const [masterKey] = deriveMasterKeys([root]);
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (part = ''): Members => JSON.parse(Buffer.from(part, 'base64url').toString()) as Members;

export interface Issuer {
  url: string;
  app: TestApp;
  /** A new account of it, with real tokens. */
  register: () => Promise<Account>;
  forge: Forge;
  /** The next key, which has been published for long, signs from now on. */
  rotate: () => Promise<void>;
  /** A key signs that no verifier has seen, as after two revocations in a row. */
  signWithUnseenKey: () => Promise<void>;
  /** It answers no more; `close` comes all the same. */
  stop: () => Promise<void>;
  close(): Promise<void>;
}

/** Makes tokens out of a real one; what is undefined is left out. */
export interface Forge {
  /** Signed with the service's own key. */
  sign(claims?: Members, header?: Members): string;
  /** Signed with an attacker's key, under these headers. */
  signAsStranger(header?: Members): Promise<string>;
  /** HS256, with the public key as the secret, in each form that a careless library may take it. */
  confused(): string[];
  unsigned(): string[];
  changed(): string[];
}

function makeForge(token: string, key: SigningKey, privateKey: KeyObject): Forge {
  const [head = '', body = '', signature = ''] = token.split('.');
  const [header, claims] = [decode(head), decode(body)];
  const assemble = (sign: (input: string) => Buffer, moreClaims: Members = {}, moreHeader: Members = {}) => {
    const input = `${base64url({ ...header, ...moreHeader })}.${base64url({ ...claims, ...moreClaims })}`;
    return `${input}.${sign(input).toString('base64url')}`;
  };
  const publicKey = createPublicKey(privateKey);
  const none = () => Buffer.alloc(0);
  const bytes = Buffer.from(signature, 'base64url');
  const flipped = Buffer.from(bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte)));
  return {
    sign: (moreClaims, moreHeader) => assemble((input) => key.sign(input), moreClaims, moreHeader),
    async signAsStranger(moreHeader = {}) {
      const theirs = await generateSigningKey(key.alg);
      const stranger = makeSigningKey(theirs.kid, key.alg, theirs.privateKey);
      const named = Object.fromEntries(
        Object.entries(moreHeader).map(([name, value]) => [name, value === 'theirs' ? stranger.publicJwk : value]),
      );
      return assemble((input) => stranger.sign(input), {}, named);
    },
    confused: () =>
      [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'pem' }).toString().trim(),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(key.publicJwk),
        '',
      ].map((secret) => assemble((input) => createHmac('sha256', secret).update(input).digest(), {}, { alg: 'HS256' })),
    unsigned: () => [
      ...['none', 'None', 'NONE', ''].map((alg) => assemble(none, {}, { alg })),
      `${base64url({ ...header, alg: 'none' })}.${body}.${signature}`,
      `${base64url({ typ: 'at+jwt', alg: 'none' })}.${body}.`,
      `${head}.${body}.`,
      `${head}.${body}`,
    ],
    changed: () => [
      `${head}.${body}.${flipped.toString('base64url')}`,
      `${head}.${body}.${Buffer.alloc(bytes.length).toString('base64url')}`,
      `${head}.${base64url({ ...claims, sub: '01a203e7-b2fc-7d4c-bf05-000000000000' })}.${signature}`,
      `${head}.${base64url({ ...claims, scope: 'profile users:write' })}.${signature}`,
    ],
  };
}

/** The active key of the service, opened with its master key. */
async function openActiveKey({ sql }: TestApp): Promise<[SigningKey, KeyObject]> {
  const { rows } = await sql.query<{ kid: string; alg: Alg; sealed_key: Buffer }>(
    `SELECT kid, alg, sealed_key FROM signing_keys WHERE status = 'active'`,
  );
  const [row] = rows;
  if (!row) throw new Error('there is no active key');
  const der = unseal(masterKey.encryption, row.kid, row.sealed_key);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return [makeSigningKey(row.kid, row.alg, privateKey), privateKey];
}

/** Starts the service on an address of its own, which is its issuer. */
export async function startIssuer(alg: Alg): Promise<Issuer> {
  const database: TestDatabase = await createDatabase();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = { ISSUER: url, AUDIENCE: audience, JWT_ALG: alg, MASTER_KEYS: root.toString('base64url') };
  const open = () => startApp(settings, { databaseUrl: database.url, port });

  let app = await open();
  let stopped: Promise<void> | undefined;
  /** The service reads its keys at the start. */
  const restart = async (change: (app: TestApp) => Promise<unknown>) => {
    await change(app);
    await app.close();
    app = await open();
  };
  const { access_token: token } = await app.register();
  return {
    url,
    get app() {
      return app;
    },
    register: () => app.register(),
    forge: makeForge(token, ...(await openActiveKey(app))),
    rotate: () =>
      restart(async ({ sql }) => {
        await sql.query(`UPDATE signing_keys SET status = 'retired', retired_at = now() WHERE status = 'active'`);
        await sql.query(`UPDATE signing_keys SET status = 'active', activated_at = now() WHERE status = 'next'`);
      }),
    signWithUnseenKey: () =>
      restart(async ({ sql }) => {
        await sql.query(`DELETE FROM signing_keys WHERE status = 'next'`);
        await sql.query(`UPDATE signing_keys SET status = 'retired', retired_at = now() WHERE status = 'active'`);
      }),
    stop: () => (stopped ??= app.close()),
    async close() {
      await (stopped ??= app.close());
      await database.drop();
    },
  };
}
