import type { AccessTokenSubject } from '../authorization/principal.ts';
import { InvalidAccessToken } from '../errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { type ApiKeyId, parseId, randomId, type SessionId, type UserId } from '../../lib/ids.ts';
import { fromBase64Url } from '../../lib/secrets.ts';
import type { Keyring } from '../signing-keys/keyring.ts';
import type { SigningKey } from '../signing-keys/signing-key.ts';

/** How the API keys' tokens call their subject: no user's id looks like it (RFC 9700 section 4.15). */
const apiKeyPrefix = 'key_';

/** The `client_id` of an API key. */
export const clientIdOf = (id: string): string => apiKeyPrefix + id;

/** The API key that a `client_id` names; undefined for any other text. */
export const apiKeyIdOf = (clientId: string): ApiKeyId | undefined =>
  clientId.startsWith(apiKeyPrefix) ? parseId<ApiKeyId>(clientId.slice(apiKeyPrefix.length)) : undefined;

/** What an access token says of an API key. No user: nobody logged in. */
export interface ApiKeyClaims {
  apiKeyId: ApiKeyId;
  scopes: readonly string[];
}

/** What an access token says of a session. No name and no e-mail address: tokens end up in logs. */
export interface AccessClaims {
  userId: UserId;
  sessionId: SessionId;
  clientId: string;
  scopes: readonly string[];
  roles: readonly string[];
  /** Seconds since the epoch; fixed at the login (RFC 9068 section 2.2.1). */
  authTime: number;
  amr: readonly string[];
  emailVerified: boolean;
}

export interface AccessTokenDeps {
  keyring: Pick<Keyring, 'active' | 'find'>;
  clock: Clock;
  issuer: string;
  audience: readonly string[];
  accessTtlSeconds: number;
}

/** The lifetime stands in the token itself. */
export interface VerifyDeps extends Omit<AccessTokenDeps, 'accessTtlSeconds'> {
  /** Told of each `kid` that no key has. */
  onUnknownKey?: () => void;
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/** The protected header, encoded once a key: it never changes. */
const headers = new WeakMap<SigningKey, string>();
function headerOf(key: SigningKey): string {
  let header = headers.get(key);
  if (header === undefined) {
    header = encode(JSON.stringify({ alg: key.alg, typ: 'at+jwt', kid: key.kid }));
    headers.set(key, header);
  }
  return header;
}

/** The claims that a session's token has besides those of every token. */
const ofSession = (claims: AccessClaims) => ({
  sub: claims.userId,
  client_id: claims.clientId,
  roles: claims.roles,
  sid: claims.sessionId,
  auth_time: claims.authTime,
  amr: claims.amr,
  email_verified: claims.emailVerified,
});

const ofApiKey = ({ apiKeyId }: ApiKeyClaims) => ({ sub: clientIdOf(apiKeyId), client_id: clientIdOf(apiKeyId) });

/** Signs a JWT access token (RFC 9068 section 2). Not by jose: docs/decisions/0005-access-tokens-with-node-crypto.md */
export const makeSignAccessToken = ({ keyring, clock, issuer, audience, accessTtlSeconds }: AccessTokenDeps) => {
  const aud = audience.length === 1 ? audience[0] : audience;
  return (claims: AccessClaims | ApiKeyClaims): string => {
    const key = keyring.active();
    const iat = clock.nowSeconds();
    const payload = JSON.stringify({
      iss: issuer,
      aud,
      exp: iat + accessTtlSeconds,
      iat,
      jti: randomId(),
      scope: claims.scopes.join(' '),
      ...('apiKeyId' in claims ? ofApiKey(claims) : ofSession(claims)),
    });
    const input = `${headerOf(key)}.${encode(payload)}`;
    return `${input}.${key.sign(input).toString('base64url')}`;
  };
};

type Json = Record<string, unknown>;

/** What a good access token says, and for whom. @throws InvalidAccessToken */
export type ReadAccessToken = (token: string) => { bearer: AccessTokenSubject; claims: Readonly<Json> };

/** Whom the claims speak for; undefined where they are not as we write them. */
function bearerOf({ sub, sid, auth_time: authTime, scope, iat }: Json): AccessTokenSubject | undefined {
  if (typeof sub !== 'string' || typeof scope !== 'string' || typeof iat !== 'number') return undefined;
  const scopes = scope.split(' ');
  const apiKeyId = apiKeyIdOf(sub);
  if (apiKeyId) return sid === undefined ? { apiKeyId, userId: undefined, scopes, issuedAt: iat } : undefined;
  const userId = parseId<UserId>(sub);
  const sessionId = typeof sid === 'string' ? parseId<SessionId>(sid) : undefined;
  if (!userId || !sessionId || typeof authTime !== 'number') return undefined;
  return { userId, sessionId, apiKeyId: undefined, authTime, scopes };
}

function decode(part: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(fromBase64Url(part)?.toString('utf8') ?? '');
    return typeof value === 'object' && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Checks an access token of ours for our own endpoints: compact form, `typ` (RFC 9068 section 4), the key that `kid`
 * names with that key's own algorithm (RFC 8725 section 3.1), the signature before any claim, then `iss`, `aud`, `exp`.
 * A header's `jwk`, `jku`, `x5c` and `x5u` are never looked at; "crit" is refused (RFC 7515 section 4.1.11).
 */
export const makeReadAccessToken = ({
  keyring,
  clock,
  issuer,
  audience,
  onUnknownKey,
}: VerifyDeps): ReadAccessToken => {
  const ours = new Set(audience);
  return (token) => {
    keyring.active(); // without keys nothing can be judged: 503, and not a 401 that sends people to the login
    const [head = '', body = '', signature = '', ...rest] = token.split('.');
    const header = decode(head);
    const kid = header?.['kid'];
    const key = typeof kid === 'string' ? keyring.find(kid) : undefined;
    if (typeof kid === 'string' && !key) onUnknownKey?.();
    if (rest.length > 0 || !header || !key) throw new InvalidAccessToken('not a token of ours');
    const { typ } = header;
    if (typeof typ !== 'string' || !/^(application\/)?at\+jwt$/i.test(typ)) throw new InvalidAccessToken('typ');
    if (header['alg'] !== key.alg || 'crit' in header) throw new InvalidAccessToken('alg or crit');
    const bytes = fromBase64Url(signature);
    if (!bytes || !key.verify(`${head}.${body}`, bytes)) throw new InvalidAccessToken('signature');
    const claims = decode(body) ?? {};
    const audiences = [claims['aud']].flat();
    if (claims['iss'] !== issuer) throw new InvalidAccessToken('iss');
    if (!audiences.some((aud) => ours.has(aud as string))) throw new InvalidAccessToken('aud');
    const { exp, nbf = 0 } = claims;
    const now = clock.nowSeconds();
    if (typeof exp !== 'number' || exp <= now || typeof nbf !== 'number' || nbf > now)
      throw new InvalidAccessToken('expired');
    const bearer = bearerOf(claims);
    if (!bearer) throw new InvalidAccessToken('claims');
    return { bearer, claims };
  };
};

/** Verifies an access token's signature and claims. @throws InvalidAccessToken */
export type VerifyAccessToken = (token: string) => AccessTokenSubject;

export const makeVerifyAccessToken = (deps: VerifyDeps): VerifyAccessToken => {
  const read = makeReadAccessToken(deps);
  return (token) => read(token).bearer;
};
