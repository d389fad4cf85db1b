// A mailer that keeps emails and parses their links.
import type pg from 'pg';
import type { Mailer, OutgoingEmail } from '../../src/platform/mailer.ts';

export interface Mail {
  to: string;
  subject: string;
  text: string;
  html: string;
  /** The only link; undefined if the email has none. */
  link: string | undefined;
  /** The token of the link. */
  token: string | undefined;
}

/** @throws if text and HTML do not have the same single link, or a part is missing */
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
  /** Takes the newest email to an address since the last call. */
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

/** Fails with the state of the outbox. */
export async function noMail(sql: pg.Pool, address: string): Promise<never> {
  const { rows } = await sql.query('SELECT stage, kind, attempts, sent_at, last_fault FROM mails ORDER BY id');
  throw new Error(`no mail has come to ${address}; the outbox: ${JSON.stringify(rows)}`);
}
