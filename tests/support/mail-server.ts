// A real SMTP server that tests can stop, or configure to reject emails or to hang.
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { simpleParser, type ParsedMail } from 'mailparser';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { freePort } from './free-port.ts';
import { type SentEmail, parseEmail } from './mailbox.ts';

/** `hangs`: reads an email and never replies. `rejects`: replies to this command with an error code. */
export type Behavior = 'accepts' | 'hangs' | { rejects: 'from' | 'to' | 'data'; code: number };

export interface ReceivedEmail extends SentEmail {
  parsed: ParsedMail;
  messageId: string;
  /** Whether it was received over TLS. */
  secure: boolean;
}

export interface MailServer {
  url: string;
  port: number;
  received: ReceivedEmail[];
  behavior: Behavior | ((to: string) => Behavior);
  /** The delay before the reply to each email. */
  delayMs: number;
  /** The number of emails that were read and not replied to yet. */
  pending: number;
  /** Resolves when the server has received `count` emails in total. */
  untilReceived(count: number, seconds?: number): Promise<void>;
  /** Closes all connections and the port. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Like real servers, quotes the address. */
const rejection = (code: number, to: string) =>
  Object.assign(new Error(`5.1.1 <${to}> does not exist`), { responseCode: code });

export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let server: SMTPServer | undefined;

  const behaviorFor = (to: string): Behavior =>
    typeof self.behavior === 'function' ? self.behavior(to) : self.behavior;
  /** Never settles if the server hangs. */
  const receive = async (stream: Readable, { envelope, secure }: SMTPServerSession): Promise<void> => {
    const to = envelope.rcptTo.map(({ address }) => address).join();
    const behavior = behaviorFor(to);
    const parsed = await simpleParser(stream);
    if (typeof behavior === 'object' && behavior.rejects === 'data') throw rejection(behavior.code, to);
    self.pending += 1;
    if (behavior === 'hangs') return new Promise(() => {});
    await sleep(self.delayMs);
    self.pending -= 1;
    const { subject = '', text = '', html, messageId = '' } = parsed;
    self.received.push({ ...parseEmail({ to, subject, text, html: html || '' }), parsed, messageId, secure });
  };
  const open = async () => {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: options.cert ? [] : ['STARTTLS'],
      closeTimeout: 0,
      ...options,
      onMailFrom(_address, _session, done) {
        const behavior = behaviorFor('');
        done(typeof behavior === 'object' && behavior.rejects === 'from' ? rejection(behavior.code, 'sender') : null);
      },
      onRcptTo({ address }, _session, done) {
        const behavior = behaviorFor(address);
        done(typeof behavior === 'object' && behavior.rejects === 'to' ? rejection(behavior.code, address) : null);
      },
      onData(stream, session, done) {
        callbackify(receive)(stream, session, done);
      },
    });
    server.on('error', () => {});
    // With TLS, tracks only the TLS socket: destroying the socket below it after a failed handshake crashes Node 20.
    const event = options.secure ? 'secureConnection' : 'connection';
    server.server.on(event, (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  const down = async () => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    self.pending = 0;
    await new Promise<void>((resolve) => (closing ? closing.close(() => resolve()) : resolve()));
  };

  const self: MailServer = {
    url: `smtp://127.0.0.1:${port}`,
    port,
    received: [],
    behavior: 'accepts',
    delayMs: 0,
    pending: 0,
    async untilReceived(count, seconds = 10) {
      for (let tries = 0; tries < seconds * 50 && self.received.length < count; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 20));
      if (self.received.length < count)
        throw new Error(`received ${self.received.length} of ${count} emails in ${seconds} s`);
    },
    down,
    async up() {
      if (!server) await open();
    },
    close: down,
  };
  await open();
  return self;
}
