import type { Request } from 'express';
import type { FindApiKey } from '../core/api-keys/api-keys.ts';
import type { AccessTokenSubject, Principal } from '../core/authorization/principal.ts';
import { InvalidAccessToken, ValidationFailed } from '../core/errors.ts';
import type { VerifyAccessToken } from '../core/tokens/access-token.ts';

export interface Authentication {
  verify: VerifyAccessToken;
  findApiKey: FindApiKey;
}

/** The credential headers of a request, not verified yet. Credentials in URLs are never read. */
export interface Credentials {
  authorization: string | undefined;
  /** `X-API-Key` */
  apiKey: string | undefined;
}

/** RFC 6750 section 3.1: "uses more than one method for including an access token". */
const invalidRequest = (path: string, message: string): ValidationFailed =>
  new ValidationFailed([{ path, message }], {
    'WWW-Authenticate': 'Bearer realm="keyturn", error="invalid_request"',
  });

function singleHeader(req: Request, name: string, displayName: string): string | undefined {
  const values = req.headersDistinct[name] ?? [];
  if (values.length > 1) throw invalidRequest(displayName, 'must be sent once');
  return values[0] || undefined; // some proxies send an empty header instead of none
}

const authorizationOf = (req: Request) => singleHeader(req, 'authorization', 'Authorization');

/** @throws ValidationFailed if a header is repeated */
export const credentialsOf = (req: Request): Credentials => ({
  authorization: authorizationOf(req),
  apiKey: singleHeader(req, 'x-api-key', 'X-API-Key'),
});

/** The token of an `Authorization: Bearer` header (RFC 6750 section 2.1). */
function bearerToken(authorization: string | undefined): string | undefined {
  const [, token] = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '') ?? [];
  return token;
}

/** The principal of a verified token. The token of an API key is limited to the current scopes of its owner. */
async function principalOf(subject: AccessTokenSubject, { byToken }: FindApiKey): Promise<Principal> {
  if (subject.userId !== undefined) return subject;
  const principal = await byToken(subject);
  if (!principal) throw new InvalidAccessToken('api key ended');
  return { ...principal, scopes: subject.scopes.filter((scope) => principal.scopes.includes(scope)) };
}

/** @throws InvalidAccessToken, or ValidationFailed for two credentials */
export async function authenticate(
  { authorization, apiKey: secret }: Credentials,
  { verify, findApiKey }: Authentication,
): Promise<Principal> {
  const token = bearerToken(authorization);
  if (token !== undefined && secret !== undefined)
    throw invalidRequest('X-API-Key', 'must not be combined with Authorization');
  if (token !== undefined) return principalOf(verify(token), findApiKey);
  if (secret === undefined) throw new InvalidAccessToken('missing');
  const principal = await findApiKey.bySecret(secret);
  if (!principal) throw new InvalidAccessToken('api key');
  return principal;
}

/** The principal of a session's valid access token with this scope; undefined for all other requests. */
export function authenticateOptional(req: Request, verify: VerifyAccessToken, scope: string): Principal | undefined {
  const token = bearerToken(authorizationOf(req));
  try {
    const subject = token === undefined ? undefined : verify(token);
    return subject?.userId !== undefined && subject.scopes.includes(scope) ? subject : undefined;
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}
