import { defineError } from '../../lib/errors.ts';

/** RFC 9470 section 3: "the authentication event associated with the access token presented ... does not meet the requirements". */
export class InsufficientUserAuthentication extends defineError({
  status: 401,
  code: 'insufficient_user_authentication',
  title: 'Log in again',
  detail: 'This needs an access token of a login that is not older than 10 minutes.',
  challenges: true,
}) {
  constructor(reason: string, maxAgeSeconds: number) {
    const challenge = `Bearer realm="keyturn", error="insufficient_user_authentication", max_age="${maxAgeSeconds}"`;
    super(reason, { headers: { 'WWW-Authenticate': challenge } });
  }
}

export class TooManyApiKeys extends defineError({
  status: 409,
  code: 'conflict',
  title: 'Conflict',
  detail: 'You have as many API keys as one account may have. Revoke one that you do not need.',
}) {
  constructor() {
    super('too many api keys');
  }
}
