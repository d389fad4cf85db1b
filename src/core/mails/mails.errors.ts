import { RateLimited } from '../../http/rate-limit.ts';
import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

/** The same for every address: it tells of the service, not of an account. */
export class MailDisabled extends Refusal {
  static readonly kind: RefusalKind = {
    status: 403,
    code: 'mail_disabled',
    title: 'No mail here',
    detail: 'This service sends no mail, so it cannot do that.',
  };
  constructor() {
    super(MailDisabled.kind, 'SMTP_URL is not set');
  }
}

/** An account has had its share of letters of a kind: for the client, one more limit. */
export class TooManyMails extends Refusal {
  constructor() {
    super(RateLimited.kind, 'mails of an account', { headers: { 'Retry-After': '3600' } });
  }
}
