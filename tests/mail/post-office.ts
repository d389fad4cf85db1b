// The outbox, as the features fill it, on a fresh database; postmen of this process; and a real mail server.
import { randomBytes } from 'node:crypto';
import { type Account, startApp, type TestApp } from '../harness.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import type { EmailKind } from '../../src/core/email/email-messages.ts';
import { type EmailRequest, makeEmailCipher, makeOutbox } from '../../src/core/email/outbox.ts';
import { makeEmailWorker, type EmailWorker } from '../../src/core/email/email-worker.ts';
import { type IssuedToken, makeOneTimeTokens } from '../../src/core/one-time-tokens/one-time-token.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { UserId } from '../../src/lib/ids.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { type Logger, makeLogger } from '../../src/platform/log.ts';
import { openSmtp } from '../../src/platform/mailer.ts';
import type { Transaction } from '../../src/platform/postgres.ts';

export const from = { name: 'Keyturn', address: 'no-reply@keyturn.example' };
export const appUrl = 'https://app.example.com';

export interface MailRow {
  id: string;
  kind: string;
  payload: Buffer | null;
  attempts: number;
  sent_at: Date | null;
  failed_at: Date | null;
  last_fault: string | null;
  waits_seconds: number;
}

export interface PostmanOptions {
  answer?: (tx: Transaction, ask: EmailRequest) => Promise<void>;
  log?: Logger;
  masterKeys?: Buffer[];
}

export async function openPostOffice() {
  const root = randomBytes(32);
  const settings = { MASTER_KEYS: root.toString('base64url'), EMAIL_VERIFICATION: 'off' };
  const app: TestApp = await startApp(settings);
  const server: MailServer = await startMailServer();
  const silent = makeLogger({ level: 'silent', pretty: false });
  const ours = openInfrastructure(app.config, silent);
  const masterKeys = deriveMasterKeys([root]);
  const tokens = makeOneTimeTokens(ours.db, masterKeys, systemClock);
  const emailCipher = makeEmailCipher(masterKeys);
  const outbox = makeOutbox({
    emailCipher,
    recipientKey: Buffer.alloc(32),
    clock: systemClock,
    sendsMail: true,
    onMail: () => {},
  });
  const closers: (() => Promise<void>)[] = [];
  const address = (account: Account) => account.email as EmailAddress;

  return {
    app,
    server,
    outbox,
    db: ours.db,
    /** For processes of their own on the same database. */
    settings: {
      ...settings,
      DATABASE_URL: app.databaseUrl,
      SMTP_URL: server.url,
      MAIL_FROM: `${from.name} <${from.address}>`,
      APP_URL: appUrl,
    },
    /** Leaves a letter about an account; with a link where `purpose` is given. */
    async post(account: Account, kind: EmailKind = 'password_changed', name = 'Ada Lovelace'): Promise<void> {
      await outbox.post(ours.db, account.user.id as UserId, { kind, to: address(account), name });
    },
    /** Leaves a letter with a link to set a new password. */
    async postLink(account: Account): Promise<IssuedToken> {
      const userId = account.user.id as UserId;
      const token = await tokens.issue(ours.db, userId, 'password_reset', address(account));
      await outbox.post(ours.db, userId, { kind: 'reset_password', to: address(account), name: 'Ada', token });
      return token;
    },
    ask: (email: string) =>
      outbox.ask(ours.db, {
        kind: 'password_reset',
        email: email as EmailAddress,
        request: { id: '', ip: '127.0.0.1', userAgent: '' },
      }),
    tokens,
    /** The worker of another process, as far as the database can tell; not started. */
    emailWorker({ answer = async () => {}, log = silent, masterKeys: roots = [root] }: PostmanOptions = {}) {
      const infrastructure = openInfrastructure(app.config, silent);
      const mailer = openSmtp({ url: server.url, from });
      const seal = makeEmailCipher(deriveMasterKeys(roots));
      const emailWorker: EmailWorker = makeEmailWorker({
        ...infrastructure,
        mailer,
        emailCipher: seal,
        answer,
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
    /** What stands in the outbox. */
    async rows(): Promise<MailRow[]> {
      const { rows } = await app.sql.query<MailRow>(
        'SELECT *, extract(epoch FROM due_at - clock_timestamp())::float AS waits_seconds FROM mails ORDER BY id',
      );
      return rows;
    },
    /** As if the time until the next attempt had passed. */
    makeDue: () => app.sql.query('UPDATE mails SET due_at = clock_timestamp() WHERE sent_at IS NULL'),
    /** Empties the outbox and the server, for the next test. */
    async clear() {
      await app.sql.query('DELETE FROM mails');
      await server.down();
      await server.up();
      server.received.length = 0;
      server.mood = 'takes';
    },
    async close() {
      await server.close();
      for (const close of closers) await close();
      await ours.close();
      await app.close();
    },
  };
}

export type PostOffice = Awaited<ReturnType<typeof openPostOffice>>;
