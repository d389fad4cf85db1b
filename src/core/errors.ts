import { defineError, type FieldError, retryAfter } from '../lib/errors.ts';

export class ValidationFailed extends defineError({
  status: 400,
  code: 'validation_failed',
  title: 'Invalid request',
  detail: 'Some parts of the request are invalid. `errors` lists each of them.',
}) {
  readonly fieldErrors: readonly FieldError[];

  constructor(fieldErrors: readonly FieldError[], headers: Readonly<Record<string, string>> = {}) {
    super('schema', { members: { errors: fieldErrors }, headers });
    this.fieldErrors = fieldErrors;
  }
}

/** Also for resources of other users. `reason` names the kind of resource. */
export class NotFound extends defineError({
  status: 404,
  code: 'not_found',
  title: 'Not found',
  detail: 'The resource does not exist, or you cannot access it.',
}) {}

/** The state of a resource does not allow the change. */
export class Conflict extends defineError({
  status: 409,
  code: 'conflict',
  title: 'Conflict',
  detail: 'The current state of the resource does not allow this change.',
}) {
  /** `detail` says what is in the way and what to do. */
  constructor(detail: string, reason: string) {
    super(reason, { detail });
  }
}

/** Without credentials the challenge has no error code (RFC 6750 section 3.1). */
export class InvalidAccessToken extends defineError({
  status: 401,
  code: 'invalid_access_token',
  title: 'Invalid access token',
  detail: 'The access token is missing, malformed, expired, revoked or issued for another service.',
  challenges: true,
}) {
  constructor(reason: string) {
    const error = reason === 'missing' ? '' : ', error="invalid_token"';
    super(reason, { headers: { 'WWW-Authenticate': `Bearer realm="keyturn"${error}` } });
  }
}

/** Proxies reject responses with long headers, and a request can name a hundred scopes. */
const maxScopeHeaderLength = 1000;

export class InsufficientScope extends defineError({
  status: 403,
  code: 'insufficient_scope',
  title: 'Insufficient scope',
  detail: 'The access token does not have the required scope. Request the scope by name when you log in.',
  challenges: true,
}) {
  /** `missing` are the scopes that the request needs, separated by spaces. */
  constructor(missing: string, reason = missing, detail?: string) {
    const scope = missing !== '' && missing.length <= maxScopeHeaderLength ? `, scope="${missing}"` : '';
    super(reason, {
      headers: { 'WWW-Authenticate': `Bearer realm="keyturn", error="insufficient_scope"${scope}` },
      ...(detail !== undefined && { detail }),
    });
  }
}

/** No scope would be enough. */
export class AdminRoleRequired extends InsufficientScope {
  constructor() {
    super('', 'requires the role admin', 'Only a logged-in user with the role admin can do this.');
  }
}

/** RFC 9470 section 3: the authentication behind the access token does not meet the requirements. */
export class InsufficientUserAuthentication extends defineError({
  status: 401,
  code: 'insufficient_user_authentication',
  title: 'Log in again',
  detail: 'This operation requires a recent login. Log in again and repeat the request with the new access token.',
  challenges: true,
}) {
  constructor(reason: string, maxAgeSeconds: number) {
    const challenge = `Bearer realm="keyturn", error="insufficient_user_authentication", max_age="${maxAgeSeconds}"`;
    super(reason, { headers: { 'WWW-Authenticate': challenge } });
  }
}

/** `reason` names the limit. */
export class RateLimited extends defineError({
  status: 429,
  code: 'rate_limited',
  title: 'Too many requests',
  detail: 'Too many requests. Try again after the number of seconds in Retry-After.',
}) {
  constructor(reason: string, retryAfterSeconds: number) {
    super(reason, retryAfter(retryAfterSeconds));
  }
}
