import { defineError } from '../../lib/errors.ts';
import { unicodeText } from '../../lib/text.ts';

/** The operation that a token allows. `email_undo` exists only for addresses that had been verified, and reserves them. */
export type Purpose = 'verification' | 'email_change' | 'email_undo' | 'password_reset';

/** Counted from when the token's email is sent. */
export const lifetimeSeconds: Readonly<Record<Purpose, number>> = {
  verification: 24 * 3600,
  email_change: 3600,
  email_undo: 72 * 3600,
  password_reset: 3600,
};

export const tokenExample = `kto_${'A'.repeat(86)}`;

/** The `token` member of a request body. */
export const OneTimeToken = unicodeText()
  .max(1000, { error: 'must have at most 1000 characters' })
  .meta({ description: 'The `token` parameter of the emailed link', examples: [tokenExample] });

/** The same error for an unknown, used, replaced or expired token and for one issued for another purpose. */
export class InvalidToken extends defineError({
  status: 400,
  code: 'invalid_token',
  title: 'Invalid link',
  detail: 'This link has expired, was already used or was replaced by a newer one. Request a new one.',
}) {}
