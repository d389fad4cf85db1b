// The outbox on a new database, workers in this process, and a real SMTP server.
import { randomBytes } from 'node:crypto';
import { type Account, startApp, type TestApp } from '../harness.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { makeEmailCipher } from '../../src/core/email/email-cipher.ts';
import type { EmailKind } from '../../src/core/email/email-message.ts';
import { makeEmailWorker, type EmailWorker } from '../../src/core/email/email-worker.ts';
import { makeOutbox } from '../../src/core/email/outbox.ts';
import type { ResolveEmailRequest } from '../../src/core/email/resolve-email-request.ts';
import { type IssuedToken, makeOneTimeTokens } from '../../src/core/one-time-tokens/one-time-tokens.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { UserId } from '../../src/lib/ids.ts';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { type Logger, makeLogger } from '../../src/platform/log.ts';
import { openSmtp } from '../../src/platform/mailer.ts';

export const from = { name: 'Keyturn', address: 'no-reply@keyturn.example' };
export const appUrl = 'https://app.example.com';

export interface EmailRow {
  id: string;
  kind: string;
  payload: Buffer | null;
  attempts: number;
  sent_at: Date | null;
  failed_at: Date | null;
  last_fault: string | null;
  seconds_until_due: number;
}

export interface WorkerOptions {
  resolveEmailRequest?: ResolveEmailRequest;
  log?: Logger;
  masterKeys?: Buffer[];
}

export async function startEmailHarness() {
  const root = randomBytes(32);
  const settings = { MASTER_KEYS: root.toString('base64url'), EMAIL_VERIFICATION: 'off' };
  const app: TestApp = await startApp(settings);
  const server: MailServer = await startMailServer();
  const silent = makeLogger({ level: 'silent', pretty: false });
  const own = openInfrastructure(app.config, silent);
  const masterKeys = deriveMasterKeys([root]);
  const tokens = makeOneTimeTokens(own.db, masterKeys, systemClock);
  const emailCipher = makeEmailCipher(masterKeys);
  const outbox = makeOutbox({
    emailCipher,
    recipientKey: Buffer.alloc(32),
    clock: systemClock,
    isEnabled: true,
    onEnqueued: () => {},
  });
  const closers: (() => Promise<void>)[] = [];
  const addressOf = (account: Account) => account.email as EmailAddress;

  return {
    app,
    server,
    outbox,
    tokens,
    masterKeys,
    db: own.db,
    /** Settings for separate processes on the same database. */
    settings: {
      ...settings,
      DATABASE_URL: app.databaseUrl,
      SMTP_URL: server.url,
      MAIL_FROM: `${from.name} <${from.address}>`,
      APP_URL: appUrl,
    },
    /** Stores an email without a link. */
    async enqueue(account: Account, kind: EmailKind = 'password_changed', name = 'Ada Lovelace'): Promise<void> {
      await outbox.enqueue(own.db, account.user.id as UserId, { kind, to: addressOf(account), name });
    },
    /** Stores an email with a link to reset the password. */
    async enqueueLink(account: Account): Promise<IssuedToken> {
      const userId = account.user.id as UserId;
      const token = await tokens.issue(own.db, userId, 'password_reset', addressOf(account));
      await outbox.enqueue(own.db, userId, { kind: 'reset_password', to: addressOf(account), name: 'Ada', token });
      return token;
    },
    /** Stores a request for a password reset. */
    enqueueRequest: (email: string) =>
      outbox.enqueueRequest(own.db, {
        kind: 'password_reset',
        email: email as EmailAddress,
        source: { id: '', clientRequestId: null, ip: '127.0.0.1', userAgent: '' },
      }),
    /** A worker with its own connections, like that of another process. It is not started. */
    worker({ resolveEmailRequest = async () => {}, log = silent, masterKeys: roots = [root] }: WorkerOptions = {}) {
      const infrastructure = openInfrastructure(app.config, silent);
      const mailer = openSmtp({ url: server.url, from });
      const emailWorker: EmailWorker = makeEmailWorker({
        ...infrastructure,
        mailer,
        emailCipher: makeEmailCipher(deriveMasterKeys(roots)),
        resolveEmailRequest,
        appUrl,
        log,
      });
      closers.push(async () => {
        await emailWorker.stop();
        mailer.close();
        await infrastructure.close();
      });
      const metrics = () => infrastructure.metrics.registry.metrics();
      return { ...emailWorker, metrics };
    },
    /** The rows of the outbox. */
    async rows(): Promise<EmailRow[]> {
      const { rows } = await app.sql.query<EmailRow>(
        'SELECT *, extract(epoch FROM due_at - clock_timestamp())::float AS seconds_until_due FROM mails ORDER BY id',
      );
      return rows;
    },
    /** Makes every unsent email due now. */
    makeDue: () => app.db.emails.makeDue(),
    /** Resets the outbox and the server for the next test. */
    async clear() {
      await app.db.emails.remove();
      await server.down();
      await server.up();
      server.received.length = 0;
      server.behavior = 'accepts';
    },
    async close() {
      await server.close();
      for (const close of closers) await close();
      await own.close();
      await app.close();
    },
  };
}

export type EmailHarness = Awaited<ReturnType<typeof startEmailHarness>>;
