import type { KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import {
  generateSigningKey,
  makeSigningKey,
  type SigningAlg,
  type SigningKey,
} from '../../src/core/signing-keys/signing-key.ts';
import { makeVerifyAccessToken, type VerifyAccessToken } from '../../src/core/tokens/access-token.ts';
import { InvalidAccessToken } from '../../src/core/errors.ts';

export const now = 1_800_000_000;
export const issuer = 'https://auth.example.com';
export const audience = ['https://api.example.com', 'https://files.example.com'] as const;
export const userId = '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10';
export const sessionId = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';

export type Members = Record<string, unknown>;

export const goodClaims = {
  iss: issuer,
  sub: userId,
  aud: audience[0],
  exp: now + 900,
  iat: now,
  jti: '6f0c4b3e-0b0a-4d0e-9a4e-1f2d3c4b5a69',
  client_id: 'first-party',
  scope: 'profile sessions',
  roles: ['user'],
  sid: sessionId,
  auth_time: now,
  amr: ['pwd'],
  email_verified: false,
};

export const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A signing key with its private part, and the verifier that trusts it. */
export interface Forger {
  key: SigningKey;
  privateKey: KeyObject;
  verify: VerifyAccessToken;
  /** Signs a token with jose; omits undefined members. */
  sign(claims?: Members, header?: Members): Promise<string>;
  /** Signs any two texts. */
  craft(header: unknown, payload: unknown): string;
}

export async function makeForger(alg: SigningAlg = 'ES256'): Promise<Forger> {
  const { kid, privateKey } = await generateSigningKey(alg);
  const key = makeSigningKey(kid, alg, privateKey);
  const keyring = { active: () => key, find: (name: string) => (name === kid ? key : undefined) };
  const clock = { nowSeconds: () => now, nowMs: () => now * 1000 };
  return {
    key,
    privateKey,
    verify: makeVerifyAccessToken({ keyring, clock, issuer, audience }),
    sign: (claims = {}, header = {}) =>
      new CompactSign(Buffer.from(JSON.stringify({ ...goodClaims, ...claims })))
        .setProtectedHeader({ alg, typ: 'at+jwt', kid: key.kid, ...header })
        .sign(privateKey),
    craft(header, payload) {
      const input = `${base64url(header)}.${base64url(payload)}`;
      return `${input}.${key.sign(input).toString('base64url')}`;
    },
  };
}

/** Returns the result of the verification. Rethrows other errors, for which the service would return 500. */
export function verdict(verify: VerifyAccessToken, token: string): 'accepted' | 'refused' {
  try {
    verify(token);
    return 'accepted';
  } catch (error) {
    if (error instanceof InvalidAccessToken) return 'refused';
    throw error;
  }
}
