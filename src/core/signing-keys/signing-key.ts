import { createPublicKey, generateKeyPair, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';

/** The values of `JWT_ALG` (RFC 7518 section 3.1, RFC 8037 section 3.1). */
export const SigningAlg = z.enum(['ES256', 'EdDSA', 'RS256', 'PS256']);
export type SigningAlg = z.infer<typeof SigningAlg>;

/** The public half of a key, as in the JWKS (RFC 7517 section 4). */
export type PublicJwk = JsonWebKey & { kid: string; alg: SigningAlg; use: 'sig' };

/** A key with one algorithm, so that the header of a token cannot choose another (RFC 8725 section 3.1). */
export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlg;
  readonly publicJwk: PublicJwk;
  sign(input: string): Buffer;
  verify(input: string, signature: Buffer): boolean;
}

const generate = promisify(generateKeyPair);

/** The parameters of node:crypto for each algorithm. */
const schemes = {
  ES256: { hash: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { hash: null, options: {} },
  RS256: { hash: 'sha256', options: {} },
  PS256: { hash: 'sha256', options: { padding: 6 /* RSA_PKCS1_PSS_PADDING */, saltLength: 32 } },
} as const;

async function generatePrivateKey(alg: SigningAlg): Promise<KeyObject> {
  if (alg === 'ES256') return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
  if (alg === 'EdDSA') return (await generate('ed25519')).privateKey;
  return (await generate('rsa', { modulusLength: 3072 })).privateKey;
}

/** Generates a key pair. Its `kid` is the thumbprint of the public half (RFC 7638). */
export async function generateSigningKey(alg: SigningAlg): Promise<{ kid: string; privateKey: KeyObject }> {
  const privateKey = await generatePrivateKey(alg);
  const kid = await calculateJwkThumbprint(createPublicKey(privateKey).export({ format: 'jwk' }));
  return { kid, privateKey };
}

/**
 * Keeps the KeyObjects, because parsing a key takes ten times as long as signing. `sign` and `verify` are synchronous so that they
 * do not wait for password hashes in the thread pool.
 */
export function makeSigningKey(kid: string, alg: SigningAlg, privateKey: KeyObject): SigningKey {
  const { hash, options } = schemes[alg];
  const publicKey = createPublicKey(privateKey);
  const privateInput = { key: privateKey, ...options };
  const publicInput = { key: publicKey, ...options };
  return {
    kid,
    alg,
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    sign: (input) => sign(hash, Buffer.from(input), privateInput),
    verify: (input, signature) => verify(hash, Buffer.from(input), publicInput, signature),
  };
}
