import type { JWTPayload } from 'jose';
import { InvalidTokenError } from './errors.ts';

/** What a good access token says (RFC 9068 section 2.2). Claims that are not named here are passed on as they came. */
export interface AccessClaims {
  iss: string;
  /** The user's id. */
  sub: string;
  aud: string | string[];
  /** Seconds since the epoch, as are `iat` and `auth_time`. */
  exp: number;
  iat: number;
  jti: string;
  /** `first-party`, or the id of the API key that the token was given for. */
  client_id: string;
  /** The `scope` claim, split. Decide by these; roles are for people to look at. */
  scopes: readonly string[];
  roles: readonly string[];
  /** The session; a token that no person's login stands behind has none. */
  sid?: string;
  auth_time?: number;
  /** How the login was done (RFC 8176): `pwd`, … */
  amr: readonly string[];
  email_verified: boolean;
  [claim: string]: unknown;
}

/** RFC 9068 section 2.2. */
export const requiredClaims = ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id'];

const isString = (value: unknown): value is string => typeof value === 'string';
const isText = (value: unknown): value is string => isString(value) && value !== '';
const isNumber = (value: unknown): value is number => typeof value === 'number';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isTextList = (value: unknown): value is string[] => Array.isArray(value) && value.every(isString);
const isAudience = (value: unknown): value is string | string[] => isText(value) || isTextList(value);

/** A claim that may be left out is checked where it stands. */
const kinds: readonly [name: string, is: (value: unknown) => boolean, optional?: 'optional'][] = [
  ['iss', isText],
  ['sub', isText],
  ['aud', isAudience],
  ['exp', isNumber],
  ['iat', isNumber],
  ['jti', isText],
  ['client_id', isText],
  ['roles', isTextList],
  ['amr', isTextList],
  ['email_verified', isBoolean],
  ['sid', isText, 'optional'],
  ['auth_time', isNumber, 'optional'],
];

function assertKinds(claims: JWTPayload): asserts claims is AccessClaims {
  for (const [name, is, optional] of kinds) {
    const value = claims[name];
    if (!is(value) && !(optional && value === undefined)) throw new InvalidTokenError(`"${name}" is of another type`);
  }
}

/**
 * Holds verified claims to their types, so that no handler meets a number where it expects a name. Adds to the object
 * itself: nobody else has it, and a copy would cost more than all the checks.
 */
export function readClaims(claims: JWTPayload): AccessClaims {
  const { scope = '', roles = [], amr = [], email_verified: verified = false } = claims;
  if (!isString(scope)) throw new InvalidTokenError('"scope" is of another type');
  claims['scopes'] = scope.split(' ').filter(Boolean);
  claims['roles'] = roles;
  claims['amr'] = amr;
  claims['email_verified'] = verified;
  assertKinds(claims);
  return claims;
}
