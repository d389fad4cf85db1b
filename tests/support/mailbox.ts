// A mailer that stores emails in memory and parses their links.
import type pg from 'pg';
import type { Mailer, OutgoingEmail } from '../../src/platform/mailer.ts';

export interface SentEmail {
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
export function parseEmail({ to, subject, text, html }: Omit<OutgoingEmail, 'id'>): SentEmail {
  const inText = [...text.matchAll(/^https?:\/\/\S+$/gm)].map(([link]) => link);
  const inHtml = [...html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
  const links = [...new Set([...inText, ...inHtml])];
  if (links.length > 1 || inText.length !== links.length)
    throw new Error(`the links of text and HTML differ: ${links.join(' ')}`);
  if (to === '' || subject === '' || text === '' || html === '') throw new Error('a part of the email is empty');
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
  sent: SentEmail[];
  /** Returns the newest email to an address since the last call; undefined if none was sent. */
  take(address: string): SentEmail | undefined;
}

export function makeMailbox(): Mailbox {
  const sent: SentEmail[] = [];
  const unread: SentEmail[] = [];
  return {
    sent,
    async send(message) {
      const email = parseEmail(message);
      sent.push(email);
      unread.push(email);
    },
    take(address) {
      const newest = unread.findLast(({ to }) => to === address);
      unread.splice(0, unread.length, ...unread.filter(({ to }) => to !== address));
      return newest;
    },
    close() {},
  };
}

/** Fails with the state of the outbox. */
export async function failWithoutEmail(sql: pg.Pool, address: string): Promise<never> {
  const { rows } = await sql.query('SELECT stage, kind, attempts, sent_at, last_fault FROM mails ORDER BY id');
  throw new Error(`no email was sent to ${address}; the outbox contains ${JSON.stringify(rows)}`);
}
