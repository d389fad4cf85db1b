import { createTransport } from 'nodemailer';
import type { Mailbox } from '../lib/config-values.ts';

export interface OutgoingEmail {
  /** Stays the same when it is sent again, so that a repeat can be recognised. */
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

export interface Mailer {
  /** Resolves when the server has taken it. @throws MailFault */
  send(mail: OutgoingEmail): Promise<void>;
  close(): void;
}

/** Why a mail did not leave, in words without addresses and content: servers quote both in their answers. */
export class EmailDeliveryError extends Error {}

interface SmtpFault {
  code?: unknown;
  /** Node's or OpenSSL's, where `code` is nodemailer's class of it. */
  originalCode?: unknown;
  responseCode?: unknown;
  command?: unknown;
}

function describe(error: unknown): string {
  const { code, originalCode, responseCode, command } = error as SmtpFault;
  // Words of programs only: whatever else stands there is not ours to repeat.
  const words = [code, originalCode].filter((word) => typeof word === 'string' && /^[A-Z][A-Z\d_]{0,60}$/.test(word));
  const where = typeof command === 'string' && /^[A-Z ]{1,20}$/.test(command) ? ` at ${command}` : '';
  if (typeof responseCode === 'number') return `the mail server answered ${responseCode}${where}`;
  return `no answer of the mail server${where}: ${words.join(', ') || 'a fault without a code'}`;
}

/** Far below the lease of a letter, after which another process takes it up. */
export const sendSeconds = 30;

/**
 * Sends by SMTP: smtps:// is TLS from the start, smtp:// STARTTLS where it is offered. A user and password are never sent
 * without TLS, and a certificate that cannot be verified is refused.
 */
export function openSmtp({ url, from }: { url: string; from: Mailbox }): Mailer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const auth = username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } };
  const transport = createTransport({
    pool: true,
    maxConnections: 3,
    // What was cut off may have been taken: whether it is sent again is for the outbox alone.
    maxRequeues: 0,
    idleTimeout: 30_000,
    host: hostname.replace(/^\[|\]$/g, ''),
    ...(port && { port: Number(port) }),
    secure: protocol === 'smtps:',
    ...(auth && { ...auth, requireTLS: true }),
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1);
  return {
    async send({ id, to, subject, text, html }) {
      try {
        await transport.sendMail({
          messageId: `<${id}@${domain}>`,
          from,
          to: { name: '', address: to },
          envelope: { from: from.address, to: [to] },
          subject,
          text,
          html,
          // RFC 3834 section 5: no holiday answers.
          headers: { 'auto-submitted': 'auto-generated' },
          xMailer: false,
          signal: AbortSignal.timeout(sendSeconds * 1000),
        });
      } catch (error) {
        // Without the cause: it quotes the server, which quotes the address.
        throw new EmailDeliveryError(describe(error));
      }
    },
    close: () => transport.close(),
  };
}

/** For development: mails go to the terminal, their links on one line. */
export const openConsole = (write: (text: string) => void): Mailer => ({
  async send({ to, subject, text }) {
    const body = text.trimEnd().replaceAll('\n', '\n  | ');
    write(`\n  | Mail to ${to}\n  | ${subject}\n  |\n  | ${body}\n\n`);
  },
  close() {},
});
