// A real SMTP server, that can be told to be down, to refuse, or to hang.
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { simpleParser, type ParsedMail } from 'mailparser';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { freePort } from './free-port.ts';
import { type Mail, readMail } from './mailbox.ts';

/** A refusal is of the command that it names. `hangs`: a mail is read, and never answered. */
export type Mood = 'takes' | 'hangs' | { refuses: 'from' | 'to' | 'data'; code: number };

export interface ReceivedMail extends Mail {
  parsed: ParsedMail;
  messageId: string;
  /** Whether it came over TLS. */
  secure: boolean;
}

export interface MailServer {
  url: string;
  port: number;
  received: ReceivedMail[];
  mood: Mood | ((to: string) => Mood);
  /** How long it takes over each mail. */
  delayMs: number;
  /** Mails that it has read, and not answered yet. */
  hanging: number;
  /** Resolves when so many have come in all. */
  untilReceived(count: number, seconds?: number): Promise<void>;
  /** Nobody listens at its port any more. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** What servers quote: the address. */
const refusal = (code: number, to: string) =>
  Object.assign(new Error(`5.1.1 <${to}> is not wanted here`), { responseCode: code });

export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let server: SMTPServer | undefined;

  const moodFor = (to: string): Mood => (typeof self.mood === 'function' ? self.mood(to) : self.mood);
  /** Settles never where the server hangs. */
  const receive = async (stream: Readable, { envelope, secure }: SMTPServerSession): Promise<void> => {
    const to = envelope.rcptTo.map(({ address }) => address).join();
    const mood = moodFor(to);
    const parsed = await simpleParser(stream);
    if (typeof mood === 'object' && mood.refuses === 'data') throw refusal(mood.code, to);
    self.hanging += 1;
    if (mood === 'hangs') return new Promise(() => {});
    await sleep(self.delayMs);
    self.hanging -= 1;
    const { subject = '', text = '', html, messageId = '' } = parsed;
    self.received.push({ ...readMail({ to, subject, text, html: html || '' }), parsed, messageId, secure });
  };
  const open = async () => {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: options.cert ? [] : ['STARTTLS'],
      closeTimeout: 0,
      ...options,
      onMailFrom(_address, _session, done) {
        const mood = moodFor('');
        done(typeof mood === 'object' && mood.refuses === 'from' ? refusal(mood.code, 'sender') : null);
      },
      onRcptTo({ address }, _session, done) {
        const mood = moodFor(address);
        done(typeof mood === 'object' && mood.refuses === 'to' ? refusal(mood.code, address) : null);
      },
      onData(stream, session, done) {
        callbackify(receive)(stream, session, done);
      },
    });
    server.on('error', () => {});
    // Not the socket below one of TLS: Node 20 does not survive that it is destroyed after a failed handshake.
    const event = options.secure ? 'secureConnection' : 'connection';
    server.server.on(event, (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  const down = async () => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    self.hanging = 0;
    await new Promise<void>((resolve) => (closing ? closing.close(() => resolve()) : resolve()));
  };

  const self: MailServer = {
    url: `smtp://127.0.0.1:${port}`,
    port,
    received: [],
    mood: 'takes',
    delayMs: 0,
    hanging: 0,
    async untilReceived(count, seconds = 10) {
      for (let tries = 0; tries < seconds * 50 && self.received.length < count; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 20));
      if (self.received.length < count)
        throw new Error(`${self.received.length} mails of ${count} came in ${seconds} s`);
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
