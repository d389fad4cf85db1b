import type { Principal } from '../../core/authorization/principal.ts';
import type { FindApiKey } from '../../core/api-keys/api-keys.ts';
import type { Credentials } from '../../http/authenticate.ts';
import { isBasic, parseBasic } from '../../http/basic-auth.ts';
import type { ApiKeySecrets } from '../../core/api-keys/api-keys.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { apiKeyIdOf } from '../../core/tokens/access-token.ts';
import { InvalidClient } from './oauth.errors.ts';
import type { OAuthStore } from './oauth.store.ts';

/** The `client_id` of our own apps: a public client, without a secret (RFC 6749 section 2.1). */
const firstParty = 'first-party';

/** Whom a request says it is from, not judged yet. */
export interface PresentedClient {
  id: string | undefined;
  secret: string | undefined;
  /** Whether a refusal is a challenge. */
  usedHeader: boolean;
}

interface ClientForm {
  client_id?: string | undefined;
  client_secret?: string | undefined;
}

/**
 * By HTTP Basic or in the body, not both: RFC 6749 section 2.3, "The client MUST NOT use more than one authentication
 * method in each request". An id in the body besides is no method, but must be the same.
 * @throws ValidationFailed, InvalidClient
 */
export function presentedClient(form: ClientForm, { authorization }: Credentials): PresentedClient {
  const { client_id: id, client_secret: secret } = form;
  if (authorization === undefined || !isBasic(authorization)) {
    if (secret !== undefined && id === undefined)
      throw new ValidationFailed([{ path: 'client_id', message: 'is needed with client_secret' }]);
    return { id, secret, usedHeader: authorization !== undefined };
  }
  const basic = parseBasic(authorization);
  if (!basic) throw new InvalidClient('unreadable', true);
  if (secret !== undefined)
    throw new ValidationFailed([{ path: 'client_secret', message: 'must not come with HTTP Basic' }]);
  if (id !== undefined && id !== basic.id)
    throw new ValidationFailed([{ path: 'client_id', message: 'must be that of HTTP Basic' }]);
  return { id: basic.id || undefined, secret: basic.secret || undefined, usedHeader: true };
}

/** Nobody is named, or the client that needs no secret. */
export const isFirstParty = ({ id, secret }: PresentedClient): boolean =>
  secret === undefined && (id === undefined || id === firstParty);

/** @throws InvalidClient */
export function requireFirstParty(presented: PresentedClient): void {
  if (!isFirstParty(presented)) throw new InvalidClient('not the first-party client', presented.usedHeader);
}

/** The API key behind a client's id and secret. @throws InvalidClient */
export type AuthenticateClient = (presented: PresentedClient, request: RequestInfo) => Promise<Principal>;

export interface ClientsDeps {
  findApiKey: FindApiKey;
  apiKeySecrets: Pick<ApiKeySecrets, 'parse'>;
  store: Pick<OAuthStore, 'refuseClient'>;
}

export const makeAuthenticateClient =
  ({ findApiKey, apiKeySecrets, store }: ClientsDeps): AuthenticateClient =>
  async ({ id, secret, usedHeader }, request) => {
    const claimed = id === undefined ? undefined : apiKeyIdOf(id);
    const principal = secret === undefined ? undefined : await findApiKey.bySecret(secret);
    if (principal && principal.apiKeyId === claimed) return principal;
    const reason = secret === undefined ? 'no_secret' : principal ? 'other_client' : 'wrong_secret';
    // Only of secrets that this service made: what strangers make up is refused without a query, and fills no table.
    if (apiKeySecrets.parse(secret ?? '')) await store.refuseClient(claimed, reason, request);
    throw new InvalidClient(reason, usedHeader);
  };
