import { defineError } from '../../lib/errors.ts';

/** The same error for an unknown, used, replaced or expired token and for one issued for another purpose. */
export class InvalidToken extends defineError({
  status: 400,
  code: 'invalid_token',
  title: 'Invalid link',
  detail: 'This link has expired, was already used or was replaced by a newer one. Request a new one.',
}) {}
