import { z } from 'zod';
import { ValidationFailed } from '../../core/errors.ts';
import type { ErrorFormat, RenderError } from '../../http/endpoint.ts';
import type { ApiError, ErrorDefinition } from '../../lib/errors.ts';
import { InvalidScope } from './oauth.errors.ts';

const OAuthError = z
  .object({
    error: z.string().meta({ description: 'A stable code for programs' }),
    error_description: z.string().meta({ description: 'A sentence for people. The text can change' }),
  })
  .meta({ id: 'OAuthError', description: 'An error (RFC 6749 section 5.2)' });

/** The OAuth codes of client errors: RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 6750 section 3.1. */
const codesOfClientErrors: Readonly<Record<string, string>> = {
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
 * Errors for which the client should repeat the same request. Section 5.2 has no code for them, and `invalid_grant` would make clients
 * discard a valid token, so they use the codes of section 4.1.2.1 and keep their status and Retry-After.
 */
const temporaryStatuses = [423, 429, 503];

function codeOf({ code, status }: ErrorDefinition): string {
  if (temporaryStatuses.includes(status)) return 'temporarily_unavailable';
  return status === 500 ? 'server_error' : (codesOfClientErrors[code] ?? 'invalid_request');
}

/** RFC 6749 section 5.2: 400 "unless specified otherwise". RFC 6750 section 3.1 specifies 401 and 403. */
function statusOf(definition: ErrorDefinition): number {
  const keepsStatus = [401, 403, 500, ...temporaryStatuses].includes(definition.status);
  return keepsStatus && codeOf(definition) !== 'invalid_grant' ? definition.status : 400;
}

/** RFC 6749 section 5.2 allows %x20-21 / %x23-5B / %x5D-7E. */
const printable = (text: string): string => text.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'");

/** This format has no `instance`, so an internal error refers to the header. */
const detailOf = ({ status, detail }: ErrorDefinition): string =>
  printable(status === 500 ? 'The service failed. Report the X-Request-Id of this response.' : detail);

function describe(error: ApiError): string {
  // Other errors list parameter names from the request, which must not be repeated.
  if (!(error instanceof ValidationFailed)) return detailOf(error.definition);
  return printable(error.fieldErrors.map(({ path, message }) => `${path}: ${message}`).join('; '));
}

const concernsOnlyScope = (error: ApiError): boolean =>
  error instanceof ValidationFailed && error.fieldErrors.every(({ path }) => path === 'scope');

export const renderError: RenderError = (error) => {
  const definition = concernsOnlyScope(error) ? InvalidScope.definition : error.definition;
  return {
    status: statusOf(definition),
    body: { error: codeOf(definition), error_description: describe(error) },
    type: 'application/json; charset=utf-8',
    headers: { Pragma: 'no-cache' },
  };
};

export const errorFormat: ErrorFormat = {
  schema: OAuthError,
  type: 'application/json',
  codeMember: 'error',
  outcomeOf(definition) {
    const code = codeOf(definition);
    return { status: statusOf(definition), code, body: { error: code, error_description: detailOf(definition) } };
  },
};
