// Errors of RFC 6749 section 5.2 that only the OAuth endpoints return. Other errors map to them in `error-responses.ts`.
import { defineError } from '../../lib/errors.ts';

export class InvalidClient extends defineError({
  status: 401,
  code: 'invalid_client',
  title: 'Invalid client',
  detail: 'The client is unknown, its secret is incorrect, or the authentication method is not supported.',
  challenges: true,
}) {
  /** `challenge`: whether the client used `Authorization` or sent no credentials (RFC 6749 section 5.2). */
  constructor(reason: string, challenge: boolean) {
    super(reason, challenge ? { headers: { 'WWW-Authenticate': 'Basic realm="keyturn"' } } : {});
  }
}

export class InvalidGrant extends defineError({
  status: 400,
  code: 'invalid_grant',
  title: 'Invalid grant',
  detail: 'The credentials or the token are invalid, or the token was issued to another client.',
}) {}

export class InvalidScope extends defineError({
  status: 400,
  code: 'invalid_scope',
  title: 'Invalid scope',
  detail: 'The scope is malformed, exceeds the original grant, or contains nothing that can be granted.',
}) {}

export class UnsupportedGrantType extends defineError({
  status: 400,
  code: 'unsupported_grant_type',
  title: 'Unsupported grant type',
  detail: 'The server does not support this grant type. Its metadata lists the supported ones.',
}) {}
