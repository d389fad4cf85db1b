import type { Clock } from '../../lib/clock.ts';
import { type AccessTokenId, newId, randomId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { Keyring } from '../signing-keys/keyring.ts';
import type { SigningKey } from '../signing-keys/signing-key.ts';
import { type ApiKeyClaims, clientIdOf } from './access-token.ts';

/** The session claims of an access token. No name and no email address, because tokens end up in logs. */
export interface AccessClaims {
  userId: UserId;
  sessionId: SessionId;
  clientId: string;
  scopes: readonly string[];
  roles: readonly string[];
  /** Time of the login, in seconds since the epoch (RFC 9068 section 2.2.1). */
  authTime: number;
  amr: readonly string[];
  emailVerified: boolean;
}

export interface SignAccessTokenDeps {
  keyring: Pick<Keyring, 'active'>;
  clock: Clock;
  issuer: string;
  audience: readonly string[];
  accessTtlSeconds: number;
}

/**
 * Signs a JWT access token (RFC 9068 section 2). The `jti` of an API key's token is a UUIDv7 with the key's epoch as its time,
 * because the claims of access tokens are fixed. docs/decisions/0005-access-tokens-with-node-crypto.md says why without `jose`.
 */
export function makeSignAccessToken({ keyring, clock, issuer, audience, accessTtlSeconds }: SignAccessTokenDeps) {
  const aud = audience.length === 1 ? audience[0] : audience;
  return (claims: AccessClaims | ApiKeyClaims): string => {
    const key = keyring.active();
    const iat = clock.nowSeconds();
    const payload = JSON.stringify({
      iss: issuer,
      aud,
      exp: iat + accessTtlSeconds,
      iat,
      jti: 'apiKeyId' in claims ? newId<AccessTokenId>(claims.tokenEpochMs) : randomId(),
      scope: claims.scopes.join(' '),
      ...('apiKeyId' in claims ? apiKeyMembers(claims) : sessionMembers(claims)),
    });
    const input = `${headerOf(key)}.${encode(payload)}`;
    return `${input}.${key.sign(input).toString('base64url')}`;
  };
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/** The encoded header of each key, which never changes. */
const headers = new WeakMap<SigningKey, string>();

function headerOf(key: SigningKey): string {
  let header = headers.get(key);
  if (header === undefined) {
    header = encode(JSON.stringify({ alg: key.alg, typ: 'at+jwt', kid: key.kid }));
    headers.set(key, header);
  }
  return header;
}

const sessionMembers = (claims: AccessClaims) => ({
  sub: claims.userId,
  client_id: claims.clientId,
  roles: claims.roles,
  sid: claims.sessionId,
  auth_time: claims.authTime,
  amr: claims.amr,
  email_verified: claims.emailVerified,
});

const apiKeyMembers = ({ apiKeyId }: ApiKeyClaims) => ({ sub: clientIdOf(apiKeyId), client_id: clientIdOf(apiKeyId) });
