import { z } from 'zod';
import type { RenderError, ErrorFormat } from '../../http/endpoint.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { type FieldError } from '../../lib/errors.ts';
import type { ApiError, ErrorDefinition } from '../../lib/errors.ts';
import { InvalidScope } from './oauth.errors.ts';

const OAuthError = z
  .object({
    error: z.string().meta({ description: 'Stable; what programs decide by' }),
    error_description: z.string().meta({ description: 'One sentence for people; the text may change' }),
  })
  .meta({ id: 'OAuthError', description: 'What went wrong (RFC 6749 section 5.2)' });

/** The words for a client's mistakes: RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 6750 section 3.1. */
const words: Readonly<Record<string, string>> = {
  invalid_client: 'invalid_client',
  invalid_grant: 'invalid_grant',
  invalid_scope: 'invalid_scope',
  unsupported_grant_type: 'unsupported_grant_type',
  invalid_credentials: 'invalid_grant',
  email_not_verified: 'invalid_grant',
  invalid_refresh_token: 'invalid_grant',
  invalid_access_token: 'invalid_token',
  insufficient_scope: 'insufficient_scope',
};

/**
 * Where nothing is wrong with the request, section 5.2 has no word, and no client may take it for `invalid_grant` and
 * forget a good token: section 4.1.2.1 has two that say so. They keep their status, and Retry-After.
 */
const laterStatuses = [423, 429, 503];

const wordOf = ({ code, status }: ErrorDefinition): string => {
  if (laterStatuses.includes(status)) return 'temporarily_unavailable';
  return status === 500 ? 'server_error' : (words[code] ?? 'invalid_request');
};

/** Section 5.2: 400 "unless specified otherwise"; RFC 6750 section 3.1 specifies 401 and 403. */
const statusOf = (definition: ErrorDefinition): number =>
  [401, 403, 500, ...laterStatuses].includes(definition.status) && wordOf(definition) !== 'invalid_grant'
    ? definition.status
    : 400;

/** Section 5.2: %x20-21 / %x23-5B / %x5D-7E. */
const describable = (text: string): string => text.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'");

const fieldErrors = ({ extras }: ApiError): readonly FieldError[] =>
  (extras.members?.['errors'] ?? []) as readonly FieldError[];

/** An answer in this form has no `instance`. */
const sentenceOf = ({ status, detail }: ErrorDefinition): string =>
  describable(status === 500 ? 'The service failed. Report the X-Request-Id of this answer.' : detail);

function descriptionOf(refusal: ApiError): string {
  // The names of unknown parameters are the sender's own words; those that a schema finds fault with are ours.
  if (!(refusal instanceof ValidationFailed)) return sentenceOf(refusal.definition);
  return fieldErrors(refusal)
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ');
}

/** Whatever is wrong with a scope, and with nothing else, is `invalid_scope`. */
const concernsScope = (refusal: ApiError): boolean =>
  refusal instanceof ValidationFailed && fieldErrors(refusal).every(({ path }) => path === 'scope');

export const renderError: RenderError = (refusal) => {
  const kind = concernsScope(refusal) ? InvalidScope.definition : refusal.definition;
  return {
    status: statusOf(kind),
    body: { error: wordOf(kind), error_description: describable(descriptionOf(refusal)) },
    type: 'application/json; charset=utf-8',
    headers: { Pragma: 'no-cache' },
  };
};

export const errorFormat: ErrorFormat = {
  schema: OAuthError,
  type: 'application/json',
  codeMember: 'error',
  outcomeOf(kind) {
    const code = wordOf(kind);
    return { status: statusOf(kind), code, body: { error: code, error_description: sentenceOf(kind) } };
  },
};
