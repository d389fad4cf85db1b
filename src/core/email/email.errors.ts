import { defineError } from '../../lib/errors.ts';
import { RateLimited } from '../errors.ts';

/** The same error for every address: it describes the service, not an account. */
export class EmailDisabled extends defineError({
  status: 403,
  code: 'mail_disabled',
  title: 'Email is disabled',
  detail: 'This service does not send email, so it cannot perform this operation.',
}) {
  constructor() {
    super('SMTP_URL is not set');
  }
}

/** The address received the maximum number of emails of one kind in the past hour. */
export class TooManyEmails extends RateLimited {
  constructor() {
    super('emails to one address', 3600);
  }
}
