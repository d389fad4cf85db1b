// A verifier with a fake issuer, which records requests, and an adjustable clock.
import type { PublicJwk } from '../../src/core/signing-keys/signing-key.ts';
import { createVerifier, InvalidTokenError, KeysUnavailableError, type Verifier } from '../../src/verify/index.ts';
import type { VerifierOptions } from '../../src/verify/index.ts';
import { audience, type Forger, issuer, now } from '../core/forger.ts';

export const jwksUri = 'https://auth.example.com/.well-known/jwks.json';

export interface FakeIssuer {
  /** The published keys, or the error of every request while the issuer is down. */
  keys: readonly object[] | Error;
  cacheControl: string | undefined;
  /** The fetched URLs, in order. */
  fetched: string[];
  /** Every response waits for this promise. */
  gate: Promise<void>;
  verifier: Verifier;
  advanceClock: (seconds: number) => void;
}

export const publicKeys = (...forgers: Forger[]): PublicJwk[] => forgers.map(({ key }) => key.publicJwk);

export function makeFakeIssuer(keys: FakeIssuer['keys'], options: Partial<VerifierOptions> = {}): FakeIssuer {
  let nowMs = now * 1000;
  const fake: FakeIssuer = {
    keys,
    cacheControl: 'public, max-age=300, stale-while-revalidate=300',
    fetched: [],
    gate: Promise.resolve(),
    advanceClock: (seconds) => void (nowMs += seconds * 1000),
    verifier: createVerifier({
      issuer,
      audience: audience[0],
      jwksUri,
      async fetch(url) {
        fake.fetched.push(url);
        await fake.gate;
        if (fake.keys instanceof Error) throw fake.keys;
        const headers = fake.cacheControl === undefined ? {} : { 'cache-control': fake.cacheControl };
        return Response.json({ keys: fake.keys }, { headers });
      },
      nowMs: () => nowMs,
      ...options,
    }),
  };
  return fake;
}

export type Verdict = 'accepted' | 'rejected' | 'unavailable';

/** Verifies the token. Throws unexpected errors. */
export async function verdict({ verify }: Verifier, token: string): Promise<Verdict> {
  try {
    await verify(token);
    return 'accepted';
  } catch (error) {
    if (error instanceof InvalidTokenError) return 'rejected';
    if (error instanceof KeysUnavailableError) return 'unavailable';
    throw error;
  }
}
