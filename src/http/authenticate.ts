import type { Request } from 'express';
import type { ApiKeyId, SessionId, UserId } from '../kernel/id.ts';
import { InvalidAccessToken, ValidationFailed } from './refusals.ts';

/** Whom a credential speaks for: a user by one of their sessions, or by an API key of theirs. */
export interface Caller {
  userId: UserId;
  /** Whether the session still lives is for the store's own query to say. Undefined where an API key calls. */
  sessionId: SessionId | undefined;
  apiKeyId: ApiKeyId | undefined;
  scopes: readonly string[];
  /** When the user logged in, in seconds since the epoch; an API key never did. */
  authTime: number | undefined;
}

/** What an access token of an API key says by itself: it names the key, and not its owner. */
export interface ApiKeyBearer {
  apiKeyId: ApiKeyId;
  userId: undefined;
  scopes: readonly string[];
  /** Seconds since the epoch: tokens of a key are revoked all at once, up to a time. */
  issuedAt: number;
}

/** What an access token says by itself. */
export type Bearer = Caller | ApiKeyBearer;

/** Checks an access token's signature and claims. @throws InvalidAccessToken */
export type VerifyAccessToken = (token: string) => Bearer;

/** Looks an API key up, and notes that it was used. Undefined where it is not live, or its owner is not active. */
export interface FindApiKey {
  /** By what stands in `X-API-Key`. */
  bySecret: (secret: string) => Promise<Caller | undefined>;
  /** By a verified access token, unless it was revoked. */
  byToken: (bearer: ApiKeyBearer) => Promise<Caller | undefined>;
}

export interface Authentication {
  verify: VerifyAccessToken;
  findApiKey: FindApiKey;
}

/** RFC 6750 section 3.1: "uses more than one method for including an access token". */
const ambiguous = (path: string, message: string): ValidationFailed => {
  const challenge = { 'WWW-Authenticate': 'Bearer realm="keyturn", error="invalid_request"' };
  return new ValidationFailed([{ path, message }], challenge);
};

/** What stands in a request's headers for credentials, not judged yet; never in its URL. */
export interface Credentials {
  authorization: string | undefined;
  /** `X-API-Key` */
  apiKey: string | undefined;
}

function authorizationOf(req: Request): string | undefined {
  const headers = req.headersDistinct['authorization'] ?? [];
  if (headers.length > 1) throw ambiguous('Authorization', 'must stand once');
  return headers[0];
}

function apiKeySecret(req: Request): string | undefined {
  const headers = req.headersDistinct['x-api-key'] ?? [];
  if (headers.length > 1) throw ambiguous('X-API-Key', 'must stand once');
  return headers[0];
}

/** @throws ValidationFailed where one of them stands twice */
export const credentialsOf = (req: Request): Credentials => ({
  authorization: authorizationOf(req),
  apiKey: apiKeySecret(req),
});

/** The token of an `Authorization: Bearer` header (RFC 6750 section 2.1). */
function bearerToken(authorization: string | undefined): string | undefined {
  const [, token] = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '') ?? [];
  return token;
}

/** The caller behind a verified token; an API key's can do no more than its owner still may. */
async function callerOf(bearer: Bearer, { byToken }: FindApiKey): Promise<Caller> {
  if (bearer.userId !== undefined) return bearer;
  const caller = await byToken(bearer);
  if (!caller) throw new InvalidAccessToken('api key ended');
  return { ...caller, scopes: bearer.scopes.filter((scope) => caller.scopes.includes(scope)) };
}

/** @throws InvalidAccessToken, or ValidationFailed for two credentials */
export async function authenticate(
  { authorization, apiKey: secret }: Credentials,
  { verify, findApiKey }: Authentication,
): Promise<Caller> {
  const token = bearerToken(authorization);
  if (token !== undefined && secret !== undefined) throw ambiguous('X-API-Key', 'must not come with Authorization');
  if (token === undefined && secret === undefined) throw new InvalidAccessToken('missing');
  const caller =
    secret === undefined ? await callerOf(verify(token ?? ''), findApiKey) : await findApiKey.bySecret(secret);
  if (!caller) throw new InvalidAccessToken('api key');
  return caller;
}

/** Who comes with a good access token of a session, of this scope; nobody, where it is missing or not good. */
export function recognize(req: Request, verify: VerifyAccessToken, scope: string): Caller | undefined {
  const token = bearerToken(authorizationOf(req));
  try {
    const bearer = token === undefined ? undefined : verify(token);
    return bearer?.userId !== undefined && bearer.scopes.includes(scope) ? bearer : undefined;
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}
