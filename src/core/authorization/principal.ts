import type { ApiKeyId, SessionId, UserId } from '../../lib/ids.ts';

/** The authenticated subject of a request: a user in one of their sessions, or one of their API keys. */
export interface Principal {
  userId: UserId;
  /** Undefined for an API key. Whether the session is still live is checked by `authorize`. */
  sessionId: SessionId | undefined;
  /** Undefined for a session. */
  apiKeyId: ApiKeyId | undefined;
  /** The scopes of the access token. */
  scopes: readonly string[];
  /** Time of the login, in seconds since the epoch; undefined for an API key. */
  authTime: number | undefined;
}

/** An API key that has authenticated. */
export interface ApiKeyPrincipal extends Principal {
  apiKeyId: ApiKeyId;
  /** The epoch of its access tokens: the time of their last revocation in milliseconds, or 0. */
  tokenEpochMs: number;
}

/** The subject of an API key's access token. The token names the key; its owner has to be looked up. */
export interface ApiKeySubject {
  apiKeyId: ApiKeyId;
  userId: undefined;
  scopes: readonly string[];
  /** The `iat` claim, in seconds since the epoch. */
  issuedAt: number;
  /** Undefined for a token of a release before epochs. */
  tokenEpochMs: number | undefined;
}

/** The claims of a verified access token. */
export type AccessTokenSubject = Principal | ApiKeySubject;
