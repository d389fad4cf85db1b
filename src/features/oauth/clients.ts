import type { Audit } from '../../core/audit/audit.ts';
import type { ApiKeySecrets, FindApiKey } from '../../core/api-keys/api-keys.ts';
import type { ApiKeyPrincipal } from '../../core/authorization/principal.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { apiKeyIdOf } from '../../core/tokens/access-token.ts';
import type { Credentials } from '../../http/authenticate.ts';
import type { Database } from '../../platform/postgres.ts';
import { isBasic, parseBasic } from './basic-auth.ts';
import { InvalidClient } from './oauth.errors.ts';

/** The `client_id` of the operator's own apps: a public client without a secret (RFC 6749 section 2.1). */
const firstParty = 'first-party';

/** The client that a request names, not authenticated yet. */
export interface PresentedClient {
  id: string | undefined;
  secret: string | undefined;
  /** Whether the request has an `Authorization` header, so that an error must be a challenge. */
  usedHeader: boolean;
}

interface ClientForm {
  client_id?: string | undefined;
  client_secret?: string | undefined;
}

/**
 * Reads the client from HTTP Basic or the body. RFC 6749 section 2.3: "The client MUST NOT use more than one authentication method in
 * each request". A `client_id` in the body is not a method, but it must be the same as in the header.
 * @throws ValidationFailed, InvalidClient
 */
export function presentedClient(form: ClientForm, { authorization }: Credentials): PresentedClient {
  const { client_id: id, client_secret: secret } = form;
  if (authorization === undefined || !isBasic(authorization)) {
    if (secret !== undefined && id === undefined)
      throw new ValidationFailed([{ path: 'client_id', message: 'is required with client_secret' }]);
    return { id, secret, usedHeader: authorization !== undefined };
  }
  const basic = parseBasic(authorization);
  if (!basic) throw new InvalidClient('malformed header', true);
  if (secret !== undefined)
    throw new ValidationFailed([{ path: 'client_secret', message: 'must not be combined with HTTP Basic' }]);
  if (id !== undefined && id !== basic.id)
    throw new ValidationFailed([{ path: 'client_id', message: 'must be the same as in HTTP Basic' }]);
  return { id: basic.id || undefined, secret: basic.secret || undefined, usedHeader: true };
}

/** Whether the request names no client, or the one without a secret. */
export const isFirstParty = ({ id, secret }: PresentedClient): boolean =>
  secret === undefined && (id === undefined || id === firstParty);

/** @throws InvalidClient */
export function requireFirstParty(client: PresentedClient): void {
  if (!isFirstParty(client)) throw new InvalidClient('not the first-party client', client.usedHeader);
}

/** Authenticates an API key by its `client_id` and `client_secret`. @throws InvalidClient */
export type AuthenticateClient = (client: PresentedClient, request: RequestInfo) => Promise<ApiKeyPrincipal>;

export interface ClientsDeps {
  db: Database;
  audit: Audit;
  findApiKey: FindApiKey;
  apiKeySecrets: Pick<ApiKeySecrets, 'parse'>;
}

export const makeAuthenticateClient =
  ({ db, audit, findApiKey, apiKeySecrets }: ClientsDeps): AuthenticateClient =>
  async ({ id, secret, usedHeader }, request) => {
    const claimedId = id === undefined ? undefined : apiKeyIdOf(id);
    const principal = secret === undefined ? undefined : await findApiKey.bySecret(secret);
    if (principal && principal.apiKeyId === claimedId) return principal;
    const reason = secret === undefined ? 'no_secret' : principal ? 'other_client' : 'wrong_secret';
    // Only for secrets that this service issued: forged ones need no query and must not fill the audit trail.
    if (apiKeySecrets.parse(secret ?? ''))
      await audit.record(db, request, {
        type: 'client.authenticated',
        outcome: 'failure',
        reason,
        apiKeyId: claimedId,
      });
    throw new InvalidClient(reason, usedHeader);
  };
