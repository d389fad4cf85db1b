import type { Request } from 'express';
import type { SessionId, UserId } from '../kernel/id.ts';
import { InsufficientScope, InvalidAccessToken, ValidationFailed } from './refusals.ts';

/** Whom a verified access token speaks for. Whether the session still lives is for the store's own query to say. */
export interface Caller {
  userId: UserId;
  sessionId: SessionId;
  scopes: readonly string[];
}

/** Checks an access token's signature and claims. @throws InvalidAccessToken */
export type VerifyAccessToken = (token: string) => Caller;

/** The token of the one `Authorization: Bearer` header (RFC 6750 section 2.1), never of the URL or a form. */
function bearerToken(req: Request): string | undefined {
  const headers = req.headersDistinct['authorization'] ?? [];
  if (headers.length > 1) {
    const challenge = { 'WWW-Authenticate': 'Bearer realm="keyturn", error="invalid_request"' };
    throw new ValidationFailed([{ path: 'Authorization', message: 'must stand once' }], challenge);
  }
  const [, token] = /^Bearer +([^ ]+) *$/i.exec(headers[0] ?? '') ?? [];
  return token;
}

/** @throws InvalidAccessToken, InsufficientScope, or ValidationFailed for two Authorization headers */
export function authenticate(req: Request, verify: VerifyAccessToken, scope: string): Caller {
  const token = bearerToken(req);
  if (token === undefined) throw new InvalidAccessToken('missing');
  const caller = verify(token);
  if (!caller.scopes.includes(scope)) throw new InsufficientScope(scope);
  return caller;
}

/** Who comes with a good access token of this scope; nobody, where it is missing or not good. */
export function recognize(req: Request, verify: VerifyAccessToken, scope: string): Caller | undefined {
  const token = bearerToken(req);
  try {
    const caller = token === undefined ? undefined : verify(token);
    return caller?.scopes.includes(scope) ? caller : undefined;
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}
