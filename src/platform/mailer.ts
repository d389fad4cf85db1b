import { createTransport } from 'nodemailer';

/** The sender of emails. */
export interface Mailbox {
  name: string;
  address: string;
}

export interface OutgoingEmail {
  /** The same for every attempt, so that mail servers and clients can recognize duplicates. */
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

export interface Mailer {
  /** Resolves when the server has accepted the email. @throws EmailDeliveryError */
  send(email: OutgoingEmail): Promise<void>;
  close(): void;
}

/** Why an email was not accepted. The message has no addresses and no content, which servers quote in their responses. */
export class EmailDeliveryError extends Error {}

interface SmtpError {
  code?: unknown;
  /** The code of Node or OpenSSL, if `code` is nodemailer's category of it. */
  originalCode?: unknown;
  responseCode?: unknown;
  command?: unknown;
}

function describe(error: unknown): string {
  const { code, originalCode, responseCode, command } = error as SmtpError;
  // Only error codes and command names: other text can contain addresses.
  const words = [code, originalCode].filter((word) => typeof word === 'string' && /^[A-Z][A-Z\d_]{0,60}$/.test(word));
  const where = typeof command === 'string' && /^[A-Z ]{1,20}$/.test(command) ? ` at ${command}` : '';
  if (typeof responseCode === 'number') return `the mail server responded with ${responseCode}${where}`;
  return `no response from the mail server${where}: ${words.join(', ') || 'unknown error'}`;
}

/** Much shorter than the lease of an email in the outbox, after which another process sends it. */
const sendTimeoutSeconds = 30;

/**
 * Sends by SMTP. smtps:// uses TLS from the start; smtp:// uses STARTTLS if the server offers it. Credentials are never sent without
 * TLS, and certificates must be valid.
 */
export function openSmtp({ url, from }: { url: string; from: Mailbox }): Mailer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const auth = username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } };
  const transport = createTransport({
    pool: true,
    maxConnections: 3,
    // The server may have accepted an email before the connection was lost. Only the outbox decides about retries.
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
          // Prevents automatic replies (RFC 3834 section 5).
          headers: { 'auto-submitted': 'auto-generated' },
          xMailer: false,
          signal: AbortSignal.timeout(sendTimeoutSeconds * 1000),
        });
      } catch (error) {
        // Without the cause, because it quotes the server, which quotes the address.
        throw new EmailDeliveryError(describe(error));
      }
    },
    close: () => transport.close(),
  };
}

/** Prints emails to the terminal, for development. Links stay on one line. */
export const openConsole = (write: (text: string) => void): Mailer => ({
  async send({ to, subject, text }) {
    const body = text.trimEnd().replaceAll('\n', '\n  | ');
    write(`\n  | Email to ${to}\n  | ${subject}\n  |\n  | ${body}\n\n`);
  },
  close() {},
});
