import type { JWTPayload } from 'jose';
import { InvalidTokenError } from './errors.ts';

/** The claims of a valid access token (RFC 9068 section 2.2). Other claims of the token are included unchanged. */
export interface AccessClaims {
  iss: string;
  /** The user's id. */
  sub: string;
  aud: string | string[];
  /** Seconds since the epoch, like `iat` and `auth_time`. */
  exp: number;
  iat: number;
  jti: string;
  /** `first-party`, or the id of the API key that the token was issued to. */
  client_id: string;
  /** The `scope` claim as a list. Use scopes for access decisions; roles are informational. */
  scopes: readonly string[];
  roles: readonly string[];
  /** The session. Missing from tokens of API keys. */
  sid?: string;
  auth_time?: number;
  /** The authentication methods of the login (RFC 8176), such as `pwd`. */
  amr: readonly string[];
  email_verified: boolean;
  [claim: string]: unknown;
}

/** RFC 9068 section 2.2. */
export const requiredClaims = ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id'];

const isString = (value: unknown): value is string => typeof value === 'string';
const isNonEmptyString = (value: unknown): value is string => isString(value) && value !== '';
const isNumber = (value: unknown): value is number => typeof value === 'number';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isStringList = (value: unknown): value is string[] => Array.isArray(value) && value.every(isString);
const isAudience = (value: unknown): value is string | string[] => isNonEmptyString(value) || isStringList(value);

/** Optional claims are checked only if they are present. */
const claimTypes: readonly [name: string, isValid: (value: unknown) => boolean, optional?: 'optional'][] = [
  ['iss', isNonEmptyString],
  ['sub', isNonEmptyString],
  ['aud', isAudience],
  ['exp', isNumber],
  ['iat', isNumber],
  ['jti', isNonEmptyString],
  ['client_id', isNonEmptyString],
  ['roles', isStringList],
  ['amr', isStringList],
  ['email_verified', isBoolean],
  ['sid', isNonEmptyString, 'optional'],
  ['auth_time', isNumber, 'optional'],
];

function assertClaimTypes(claims: JWTPayload): asserts claims is AccessClaims {
  for (const [name, isValid, optional] of claimTypes) {
    const value = claims[name];
    if (!isValid(value) && !(optional && value === undefined))
      throw new InvalidTokenError(`"${name}" is missing or has the wrong type`);
  }
}

/** Checks the types of verified claims and fills in defaults. In place: a copy costs more than the checks. */
export function parseClaims(claims: JWTPayload): AccessClaims {
  const { scope = '', roles = [], amr = [], email_verified: verified = false } = claims;
  if (!isString(scope)) throw new InvalidTokenError('"scope" is not a string');
  claims['scopes'] = scope.split(' ').filter(Boolean);
  claims['roles'] = roles;
  claims['amr'] = amr;
  claims['email_verified'] = verified;
  assertClaimTypes(claims);
  return claims;
}
