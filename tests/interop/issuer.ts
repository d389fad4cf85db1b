// The real service, and tokens that are forged with the signing key in its database.
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
  /** Creates an account and returns it with its tokens. */
  register: () => Promise<Account>;
  forge: Forge;
  /** Activates the next key, which is already published. */
  rotateKey: () => Promise<void>;
  /** Activates a key that was never published, as after two consecutive revocations. */
  rotateToUnpublishedKey: () => Promise<void>;
  /** Stops the service. `close` must still be called. */
  stop: () => Promise<void>;
  close(): Promise<void>;
}

/** Makes tokens from a real one. Members that are undefined are removed. */
export interface Forge {
  /** Signs with the key of the service. */
  sign(claims?: Members, header?: Members): string;
  /** Signs with the key of an attacker, which `embedsKey` adds to the header as `jwk`. */
  signAsAttacker(options?: { embedsKey?: boolean; kid?: undefined }): Promise<string>;
  /** Signs with HS256 and the public key as the secret, in all encodings that a library might use. */
  signedWithPublicKey(): string[];
  unsigned(): string[];
  modified(): string[];
}

function makeForge(token: string, key: SigningKey, privateKey: KeyObject): Forge {
  const [head = '', body = '', signature = ''] = token.split('.');
  const [header, claims] = [decode(head), decode(body)];
  const assemble = (sign: (input: string) => Buffer, moreClaims: Members = {}, moreHeader: Members = {}) => {
    const input = `${base64url({ ...header, ...moreHeader })}.${base64url({ ...claims, ...moreClaims })}`;
    return `${input}.${sign(input).toString('base64url')}`;
  };
  const publicKey = createPublicKey(privateKey);
  const emptySignature = () => Buffer.alloc(0);
  const bytes = Buffer.from(signature, 'base64url');
  const flipped = Buffer.from(bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte)));
  return {
    sign: (moreClaims, moreHeader) => assemble((input) => key.sign(input), moreClaims, moreHeader),
    async signAsAttacker({ embedsKey = false, ...moreHeader } = {}) {
      const generated = await generateSigningKey(key.alg);
      const attackerKey = makeSigningKey(generated.kid, key.alg, generated.privateKey);
      const jwk = embedsKey ? { jwk: attackerKey.publicJwk } : {};
      return assemble((input) => attackerKey.sign(input), {}, { ...jwk, ...moreHeader });
    },
    signedWithPublicKey: () =>
      [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'pem' }).toString().trim(),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(key.publicJwk),
        '',
      ].map((secret) => assemble((input) => createHmac('sha256', secret).update(input).digest(), {}, { alg: 'HS256' })),
    unsigned: () => [
      ...['none', 'None', 'NONE', ''].map((alg) => assemble(emptySignature, {}, { alg })),
      `${base64url({ ...header, alg: 'none' })}.${body}.${signature}`,
      `${base64url({ typ: 'at+jwt', alg: 'none' })}.${body}.`,
      `${head}.${body}.`,
      `${head}.${body}`,
    ],
    modified: () => [
      `${head}.${body}.${flipped.toString('base64url')}`,
      `${head}.${body}.${Buffer.alloc(bytes.length).toString('base64url')}`,
      `${head}.${base64url({ ...claims, sub: '01a203e7-b2fc-7d4c-bf05-000000000000' })}.${signature}`,
      `${head}.${base64url({ ...claims, scope: 'profile users:write' })}.${signature}`,
    ],
  };
}

/** Decrypts the active key of the service with its master key. */
async function decryptActiveKey({ sql }: TestApp): Promise<[SigningKey, KeyObject]> {
  const { rows } = await sql.query<{ kid: string; alg: Alg; sealed_key: Buffer }>(
    `SELECT kid, alg, sealed_key FROM signing_keys WHERE status = 'active'`,
  );
  const [row] = rows;
  if (!row) throw new Error('The service has no active key.');
  const der = unseal(masterKey.encryption, row.kid, row.sealed_key);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return [makeSigningKey(row.kid, row.alg, privateKey), privateKey];
}

/** Starts the service on a new port. Its URL is the issuer. */
export async function startIssuer(alg: Alg): Promise<Issuer> {
  const database: TestDatabase = await createDatabase();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = { ISSUER: url, AUDIENCE: audience, JWT_ALG: alg, MASTER_KEYS: root.toString('base64url') };
  const open = () => startApp(settings, { databaseUrl: database.url, port });

  let app = await open();
  let stopped: Promise<void> | undefined;
  /** Changes the keys in the database and restarts the service, because it reads its keys at the start. */
  const restartWith = async (change: (app: TestApp) => Promise<unknown>) => {
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
    forge: makeForge(token, ...(await decryptActiveKey(app))),
    rotateKey: () =>
      restartWith(async ({ sql }) => {
        await sql.query(`UPDATE signing_keys SET status = 'retired', retired_at = now() WHERE status = 'active'`);
        await sql.query(`UPDATE signing_keys SET status = 'active', activated_at = now() WHERE status = 'next'`);
      }),
    rotateToUnpublishedKey: () =>
      restartWith(async ({ sql }) => {
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
