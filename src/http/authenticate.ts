import type { Request } from 'express';
import type { ApiKeyId, SessionId, UserId } from '../kernel/id.ts';
import { InsufficientScope, InvalidAccessToken, ValidationFailed } from './refusals.ts';

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

/** What an access token says by itself; an API key's names the key, and not its owner. */
export type Bearer = Caller | { apiKeyId: ApiKeyId; userId: undefined; scopes: readonly string[] };

/** Checks an access token's signature and claims. @throws InvalidAccessToken */
export type VerifyAccessToken = (token: string) => Bearer;

/** Looks an API key up, and notes that it was used. Undefined where it is not live, or its owner is not active. */
export interface FindApiKey {
  /** By what stands in `X-API-Key`. */
  bySecret: (secret: string) => Promise<Caller | undefined>;
  /** By the id in a verified access token. */
  byId: (id: ApiKeyId) => Promise<Caller | undefined>;
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

/** The token of the one `Authorization: Bearer` header (RFC 6750 section 2.1), never of the URL or a form. */
function bearerToken(req: Request): string | undefined {
  const headers = req.headersDistinct['authorization'] ?? [];
  if (headers.length > 1) throw ambiguous('Authorization', 'must stand once');
  const [, token] = /^Bearer +([^ ]+) *$/i.exec(headers[0] ?? '') ?? [];
  return token;
}

function apiKeySecret(req: Request): string | undefined {
  const headers = req.headersDistinct['x-api-key'] ?? [];
  if (headers.length > 1) throw ambiguous('X-API-Key', 'must stand once');
  return headers[0];
}

/** The caller behind a verified token; an API key's can do no more than its owner still may. */
async function callerOf(bearer: Bearer, { byId }: FindApiKey): Promise<Caller> {
  if (bearer.userId !== undefined) return bearer;
  const caller = await byId(bearer.apiKeyId);
  if (!caller) throw new InvalidAccessToken('api key ended');
  return { ...caller, scopes: bearer.scopes.filter((scope) => caller.scopes.includes(scope)) };
}

/** @throws InvalidAccessToken, InsufficientScope, or ValidationFailed for two credentials */
export async function authenticate(
  req: Request,
  { verify, findApiKey }: Authentication,
  scope: string,
): Promise<Caller> {
  const [token, secret] = [bearerToken(req), apiKeySecret(req)];
  if (token !== undefined && secret !== undefined) throw ambiguous('X-API-Key', 'must not come with Authorization');
  if (token === undefined && secret === undefined) throw new InvalidAccessToken('missing');
  const caller =
    secret === undefined ? await callerOf(verify(token ?? ''), findApiKey) : await findApiKey.bySecret(secret);
  if (!caller) throw new InvalidAccessToken('api key');
  if (!caller.scopes.includes(scope)) throw new InsufficientScope(scope);
  return caller;
}

/** Who comes with a good access token of a session, of this scope; nobody, where it is missing or not good. */
export function recognize(req: Request, verify: VerifyAccessToken, scope: string): Caller | undefined {
  const token = bearerToken(req);
  try {
    const bearer = token === undefined ? undefined : verify(token);
    return bearer?.userId !== undefined && bearer.scopes.includes(scope) ? bearer : undefined;
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}
