import type { Clock } from '../../lib/clock.ts';
import { type ApiKeyId, parseId, type SessionId, timeOfId, type UserId } from '../../lib/ids.ts';
import { fromBase64Url } from '../../lib/secrets.ts';
import type { AccessTokenSubject } from '../authorization/principal.ts';
import { InvalidAccessToken } from '../errors.ts';
import type { Keyring } from '../signing-keys/keyring.ts';

/** The prefix of an API key's `sub`, so that it never looks like a user's (RFC 9700 section 4.15). */
const apiKeyPrefix = 'key_';

/** The `client_id` of an API key. */
export const clientIdOf = (id: string): string => apiKeyPrefix + id;

/** The API key with this `client_id`; undefined for other clients. */
export const apiKeyIdOf = (clientId: string): ApiKeyId | undefined =>
  clientId.startsWith(apiKeyPrefix) ? parseId<ApiKeyId>(clientId.slice(apiKeyPrefix.length)) : undefined;

/** The claims of an API key's access token. It contains no user because no user has logged in. */
export interface ApiKeyClaims {
  apiKeyId: ApiKeyId;
  scopes: readonly string[];
  /** The epoch of the key when the token is issued. The token is valid until the key has another one. */
  tokenEpochMs: number;
}

type Claims = Readonly<Record<string, unknown>>;

/** Verifies an access token and returns its subject and claims. @throws InvalidAccessToken, NotReady */
export type ReadAccessToken = (token: string) => { subject: AccessTokenSubject; claims: Claims };

/** Verifies an access token and returns its subject. @throws InvalidAccessToken, NotReady */
export type VerifyAccessToken = (token: string) => AccessTokenSubject;

export interface ReadAccessTokenDeps {
  keyring: Pick<Keyring, 'active' | 'find'>;
  clock: Clock;
  issuer: string;
  audience: readonly string[];
  /** Rejects the tokens of users whose email address was not verified when the token was issued. */
  requiresVerifiedEmail?: boolean;
  /** Called when no key has the `kid` of a token. */
  onUnknownKey?: () => void;
}

/**
 * Verifies access tokens for the service's own endpoints: compact form, `typ` (RFC 9068 section 4), the algorithm of the key that
 * `kid` names (RFC 8725 section 3.1), the signature before any claim, then `iss`, `aud` and `exp`. Ignores `jwk`, `jku`, `x5c` and
 * `x5u`, and rejects "crit" (RFC 7515 section 4.1.11).
 */
export function makeReadAccessToken(deps: ReadAccessTokenDeps): ReadAccessToken {
  const { keyring, clock, issuer, requiresVerifiedEmail = false, onUnknownKey } = deps;
  const audience = new Set<unknown>(deps.audience);
  return (token) => {
    keyring.active(); // Without keys no token can be verified: NotReady, not a 401 that logs users out.
    const [head = '', body = '', signature = '', ...rest] = token.split('.');
    const header = decode(head);
    const kid = header?.['kid'];
    const key = typeof kid === 'string' ? keyring.find(kid) : undefined;
    if (typeof kid === 'string' && !key) onUnknownKey?.();
    if (rest.length > 0 || !header || !key) throw new InvalidAccessToken('format or key');
    const { typ } = header;
    if (typeof typ !== 'string' || !/^(application\/)?at\+jwt$/i.test(typ)) throw new InvalidAccessToken('typ');
    if (header['alg'] !== key.alg || 'crit' in header) throw new InvalidAccessToken('alg or crit');
    const bytes = fromBase64Url(signature);
    if (!bytes || !key.verify(`${head}.${body}`, bytes)) throw new InvalidAccessToken('signature');
    const claims = decode(body) ?? {};
    if (claims['iss'] !== issuer) throw new InvalidAccessToken('iss');
    if (![claims['aud']].flat().some((aud) => audience.has(aud))) throw new InvalidAccessToken('aud');
    const { exp, nbf = 0 } = claims;
    const nowSeconds = clock.nowSeconds();
    if (typeof exp !== 'number' || exp <= nowSeconds || typeof nbf !== 'number' || nbf > nowSeconds)
      throw new InvalidAccessToken('expired');
    if (requiresVerifiedEmail && claims['email_verified'] === false) throw new InvalidAccessToken('email not verified');
    const subject = subjectOf(claims);
    if (!subject) throw new InvalidAccessToken('claims');
    return { subject, claims };
  };
}

/**
 * The audience of the service's own endpoints: the issuer if AUDIENCE contains it, so that a token for another service only is
 * rejected, and otherwise every audience, because no token names the service itself.
 */
export const ownAudienceOf = (issuer: string, audience: readonly string[]): readonly string[] =>
  audience.includes(issuer) ? [issuer] : audience;

export function makeVerifyAccessToken(deps: ReadAccessTokenDeps): VerifyAccessToken {
  const read = makeReadAccessToken(deps);
  return (token) => read(token).subject;
}

function decode(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(fromBase64Url(part)?.toString('utf8') ?? '');
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** The subject of the claims; undefined if they are not claims that this service issues. */
function subjectOf({ sub, sid, auth_time: authTime, scope, iat, jti }: Claims): AccessTokenSubject | undefined {
  if (typeof sub !== 'string' || typeof scope !== 'string' || typeof iat !== 'number') return undefined;
  const scopes = scope.split(' ');
  const apiKeyId = apiKeyIdOf(sub);
  if (apiKeyId) {
    const tokenEpochMs = typeof jti === 'string' ? timeOfId(jti) : undefined;
    return sid === undefined ? { apiKeyId, userId: undefined, scopes, issuedAt: iat, tokenEpochMs } : undefined;
  }
  const userId = parseId<UserId>(sub);
  const sessionId = typeof sid === 'string' ? parseId<SessionId>(sid) : undefined;
  if (!userId || !sessionId || typeof authTime !== 'number') return undefined;
  return { userId, sessionId, apiKeyId: undefined, authTime, scopes };
}
