import { createPublicKey, generateKeyPair, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint } from 'jose';

export type SigningAlg = 'ES256' | 'EdDSA' | 'RS256' | 'PS256';

/** The public half, as it stands in the JWKS (RFC 7517 section 4). */
export type PublicJwk = JsonWebKey & { kid: string; alg: SigningAlg; use: 'sig' };

/** One key, one algorithm: what signs and verifies never depends on a token's header (RFC 8725 section 3.1). */
export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlg;
  readonly publicJwk: PublicJwk;
  sign(input: string): Buffer;
  verify(input: string, signature: Buffer): boolean;
}

const generate = promisify(generateKeyPair);

/** How node:crypto says what RFC 7518 section 3 (and RFC 8037 section 3.1) calls by one name. */
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

/** A new key pair, named by the thumbprint of its public half (RFC 7638). */
export async function generateSigningKey(alg: SigningAlg): Promise<{ kid: string; privateKey: KeyObject }> {
  const privateKey = await generatePrivateKey(alg);
  const kid = await calculateJwkThumbprint(createPublicKey(privateKey).export({ format: 'jwk' }));
  return { kid, privateKey };
}

/** Keeps the KeyObjects: parsing a key costs ten times what signing does. Both calls are synchronous on purpose, since
 * the thread pool is where passwords are hashed. */
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
