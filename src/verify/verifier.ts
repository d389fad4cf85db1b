import { type CryptoKey, errors, type JWSHeaderParameters, jwtVerify } from 'jose';
import { type AccessClaims, parseClaims, requiredClaims } from './claims.ts';
import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import { type Fetch, fetchKeys, type VerificationKey } from './fetch-keys.ts';
import { makeKeySet } from './key-set.ts';

export interface VerifierOptions {
  /** The exact `iss` of the tokens: `ISSUER` of the service. */
  issuer: string;
  /** The name of your service in `aud`. If it is a list, a token needs only one of its names. */
  audience: string | readonly string[];
  /** The URL of the keys. Defaults to the one in the issuer's metadata (RFC 8414). */
  jwksUri?: string;
  /** The maximum clock skew. */
  clockToleranceSeconds?: number;
  /** The minimum time between two fetches because of unknown `kid`s or errors. */
  cooldownSeconds?: number;
  /** How long stale keys are used while the issuer is down. */
  staleIfErrorSeconds?: number;
  timeoutSeconds?: number;
  fetch?: Fetch;
  nowMs?: () => number;
}

export interface Verifier {
  readonly issuer: string;
  /** Returns the claims of a valid access token. @throws InvalidTokenError, KeysUnavailableError, and no other error */
  readonly verify: (token: string) => Promise<AccessClaims>;
}

const systemNowMs = (): number => Date.now();

/** The service issues no longer tokens; docs/decisions/0022-access-token-budget.md. Longer ones are rejected without parsing. */
const maxTokenLength = 8192;
/** jose ignores white space in base64url. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);

/** An attacker who can change the keys in transit can forge tokens. So they need https, except on this machine. */
function parseSecureUrl(option: string, text: string): URL {
  if (!URL.canParse(text)) throw new TypeError(`${option} is not a URL: ${text}`);
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname)))
    throw new TypeError(`${option} must use https: ${text}`);
  return url;
}

function checkIssuer(issuer: string): void {
  const { search, hash } = parseSecureUrl('issuer', issuer);
  if (search || hash) throw new TypeError(`issuer must not have a query or a fragment: ${issuer}`);
}

/**
 * Creates a verifier for the service's access tokens (RFC 9068 section 4). Each key is used only with its own algorithm,
 * which must equal the `alg` of the token. Ignores `jwk`, `jku`, `x5c` and `x5u`.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, jwksUri, clockToleranceSeconds = 5, cooldownSeconds = 10, staleIfErrorSeconds = 3600 } = options;
  const { timeoutSeconds = 3, fetch = globalThis.fetch, nowMs = systemNowMs } = options;
  const audience = [options.audience].flat();
  checkIssuer(issuer);
  if (audience.length === 0 || audience.includes('')) throw new TypeError('audience is missing');
  if (jwksUri !== undefined) parseSecureUrl('jwksUri', jwksUri);
  const source = { issuer, jwksUri, timeoutMs: timeoutSeconds * 1000, fetch };
  const keys = makeKeySet({ fetchKeys: () => fetchKeys(source), cooldownSeconds, staleIfErrorSeconds, nowMs });
  const expected = { issuer, audience, typ: 'at+jwt', requiredClaims, clockTolerance: clockToleranceSeconds };
  // Without `currentDate` jose reads the clock itself, which is faster.
  const expectedNow = () => (nowMs === systemNowMs ? expected : { ...expected, currentDate: new Date(nowMs()) });

  const checkAlg = (found: VerificationKey, alg: unknown): CryptoKey => {
    if (alg !== found.alg) throw new InvalidTokenError('"alg" is not the algorithm of the key');
    return found.key;
  };
  const keyFor = ({ kid, alg, crit }: JWSHeaderParameters): CryptoKey | Promise<CryptoKey> => {
    // RFC 7515 section 4.1.11: the verifier supports no extension.
    if (crit !== undefined) throw new InvalidTokenError('unsupported "crit"');
    if (typeof kid !== 'string') throw new InvalidTokenError('missing "kid"');
    const found = keys.find(kid);
    return found instanceof Promise ? found.then((key) => checkAlg(key, alg)) : checkAlg(found, alg);
  };

  return {
    issuer,
    async verify(token) {
      if (typeof token !== 'string') throw new InvalidTokenError('not a string'); // JavaScript passes undefined for a missing one
      if (token.length > maxTokenLength) throw new InvalidTokenError('too long');
      if (!compactForm.test(token)) throw new InvalidTokenError('not a compact JWS');
      try {
        return parseClaims((await jwtVerify(token, keyFor, expectedNow())).payload);
      } catch (error) {
        if (error instanceof InvalidTokenError || error instanceof KeysUnavailableError) throw error;
        // An error of the runtime's cryptography also depends only on the token and the key.
        const reason = error instanceof errors.JOSEError ? error.message : 'cannot be verified';
        throw new InvalidTokenError(reason, { cause: error });
      }
    },
  };
}
