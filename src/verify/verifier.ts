import { type CryptoKey, errors, type JWSHeaderParameters, jwtVerify } from 'jose';
import { type AccessClaims, readClaims, requiredClaims } from './claims.ts';
import { systemNowMs } from './clock.ts';
import { InvalidTokenError } from './errors.ts';
import { type Fetch, fetchKeys, type VerificationKey } from './fetch-keys.ts';
import { makeKeySet } from './key-set.ts';

export interface VerifierOptions {
  /** The `iss` of good tokens, to the letter: `ISSUER` of the service. */
  issuer: string;
  /** What this service is called in `aud`; one of several is enough. */
  audience: string | readonly string[];
  /** Where the keys are. Left out, the issuer's metadata says so (RFC 8414). */
  jwksUri?: string;
  /** How far two clocks may be apart. */
  clockToleranceSeconds?: number;
  /** The least time between two fetches that unknown `kid`s bring about, whatever floods of them come. */
  cooldownSeconds?: number;
  /** How long the last good keys serve after they have gone stale, while the issuer is down. */
  staleIfErrorSeconds?: number;
  timeoutSeconds?: number;
  fetch?: Fetch;
  nowMs?: () => number;
}

export interface Verifier {
  readonly issuer: string;
  /** The claims of a good access token. @throws InvalidTokenError, KeysUnavailableError */
  readonly verify: (token: string) => Promise<AccessClaims>;
}

/** Ten times what the service issues; what is longer is not looked at. */
const maxTokenLength = 8192;
/** jose reads over spaces and line ends in what should be base64url. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);

function checkIssuer(issuer: string): void {
  if (!URL.canParse(issuer)) throw new TypeError(`issuer is no address: ${issuer}`);
  const { protocol, hostname, search, hash } = new URL(issuer);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname)))
    throw new TypeError(`issuer must be https: ${issuer}`);
  if (search || hash) throw new TypeError(`issuer has no query and no fragment: ${issuer}`);
}

/**
 * Verifies the service's access tokens as RFC 9068 section 4 asks, without calling back. A key verifies with its own
 * algorithm and no other; a token's `alg` must equal it, and its `jwk`, `jku`, `x5c` and `x5u` are never looked at.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, jwksUri, clockToleranceSeconds = 5, cooldownSeconds = 10, staleIfErrorSeconds = 3600 } = options;
  const { timeoutSeconds = 3, fetch = globalThis.fetch, nowMs = systemNowMs } = options;
  const audience = [options.audience].flat();
  checkIssuer(issuer);
  if (audience.length === 0 || audience.includes('')) throw new TypeError('audience is missing');
  if (jwksUri !== undefined && !URL.canParse(jwksUri)) throw new TypeError(`jwksUri is no address: ${jwksUri}`);
  const source = { issuer, jwksUri, timeoutMs: timeoutSeconds * 1000, fetch };
  const keys = makeKeySet({ fetchKeys: () => fetchKeys(source), cooldownSeconds, staleIfErrorSeconds, nowMs });
  const expected = { issuer, audience, typ: 'at+jwt', requiredClaims, clockTolerance: clockToleranceSeconds };
  // jose reads the clock itself, which costs less than to hand it a time.
  const expectedNow = () => (nowMs === systemNowMs ? expected : { ...expected, currentDate: new Date(nowMs()) });

  const checkAlg = (found: VerificationKey, alg: unknown): CryptoKey => {
    if (alg !== found.alg) throw new InvalidTokenError('"alg" is not the key’s');
    return found.key;
  };
  const keyFor = ({ kid, alg, crit }: JWSHeaderParameters): CryptoKey | Promise<CryptoKey> => {
    // RFC 7515 section 4.1.11: no extension is understood here.
    if (crit !== undefined) throw new InvalidTokenError('"crit"');
    if (typeof kid !== 'string') throw new InvalidTokenError('no "kid"');
    const found = keys.find(kid);
    return found instanceof Promise ? found.then((key) => checkAlg(key, alg)) : checkAlg(found, alg);
  };

  return {
    issuer,
    async verify(token) {
      if (token.length > maxTokenLength) throw new InvalidTokenError('too long');
      if (!compactForm.test(token)) throw new InvalidTokenError('not a JWS of three parts');
      try {
        return readClaims((await jwtVerify(token, keyFor, expectedNow())).payload);
      } catch (error) {
        if (error instanceof errors.JOSEError) throw new InvalidTokenError(error.message, { cause: error });
        throw error;
      }
    },
  };
}
