// What becomes of mails in tests: they are kept, and their links read.
import type pg from 'pg';
import type { Mailer, OutgoingEmail } from '../../src/platform/mailer.ts';

export interface Mail {
  to: string;
  subject: string;
  text: string;
  html: string;
  /** The one link that it has; undefined where it has none. */
  link: string | undefined;
  /** The token in that link. */
  token: string | undefined;
}

/** @throws where the two forms of a mail do not have the same one link, or a part is missing */
export function readMail({ to, subject, text, html }: Omit<OutgoingEmail, 'id'>): Mail {
  const inText = [...text.matchAll(/^https?:\/\/\S+$/gm)].map(([link]) => link);
  const inHtml = [...html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
  const links = [...new Set([...inText, ...inHtml])];
  if (links.length > 1 || inText.length !== links.length)
    throw new Error(`a mail has other links in HTML: ${links.join(' ')}`);
  if (to === '' || subject === '' || text === '' || html === '') throw new Error('a mail lacks a part');
  const [link] = links;
  return {
    to,
    subject,
    text,
    html,
    link,
    token: link === undefined ? undefined : (new URL(link).searchParams.get('token') ?? undefined),
  };
}

export interface Mailbox extends Mailer {
  sent: Mail[];
  /** The newest to an address that was not taken before; what came before it is passed over. */
  take(address: string): Mail | undefined;
}

export function makeMailbox(): Mailbox {
  const sent: Mail[] = [];
  const unread: Mail[] = [];
  return {
    sent,
    async send(mail) {
      const read = readMail(mail);
      sent.push(read);
      unread.push(read);
    },
    take(address) {
      const mail = unread.findLast(({ to }) => to === address);
      unread.splice(0, unread.length, ...unread.filter(({ to }) => to !== address));
      return mail;
    },
    close() {},
  };
}

/** What became of the mail that should be there. */
export async function noMail(sql: pg.Pool, address: string): Promise<never> {
  const { rows } = await sql.query('SELECT stage, kind, attempts, sent_at, last_fault FROM mails ORDER BY id');
  throw new Error(`no mail has come to ${address}; the outbox: ${JSON.stringify(rows)}`);
}
