import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { SMTPServerOptions } from 'smtp-server';
import { startForTest } from '../operations/processes.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { openSmtp } from '../../src/platform/mailer.ts';
import { type EmailHarness, from, startEmailHarness } from './email-harness.ts';

const certificate = makeCertificate();
const login: Partial<SMTPServerOptions> = {
  authOptional: false,
  onAuth: ({ username, password }, _session, done) =>
    username === 'keyturn' && password === 'p@ss:word'
      ? done(null, { user: username })
      : done(Object.assign(new Error('unknown user'), { responseCode: 535 })),
};
const user = 'keyturn:p%40ss%3Aword@';

let email: EmailHarness;
let folder: string;
let server: MailServer | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-tls-'));
  writeFileSync(join(folder, 'cert.pem'), certificate.cert);
  email = await startEmailHarness();
});
afterEach(async () => {
  await server?.close();
  await email.clear();
});
afterAll(async () => {
  await email.close();
  await rm(folder, { recursive: true });
});

const urlOf = ({ port }: MailServer, scheme: string, credentials = '') => `${scheme}://${credentials}127.0.0.1:${port}`;
const mail = { id: 'one', to: 'ada@example.com', subject: 'Hello', text: 'Hello.\n', html: '<p>Hello.</p>' };

/** Sends an email and returns the error message; undefined if the server accepted it. */
async function errorOf(url: string): Promise<string | undefined> {
  const mailer = openSmtp({ url, from });
  try {
    return await mailer.send(mail).then(
      () => undefined,
      ({ message }: Error) => message,
    );
  } finally {
    mailer.close();
  }
}

test.each([
  ['smtps', { secure: true }],
  ['smtp', {}],
])(
  '%s:// sends over TLS with credentials to a server with a trusted certificate',
  async (scheme, options) => {
    server = await startMailServer({ ...certificate, ...login, ...options });
    await email.enqueue(await email.app.register());
    const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') };
    await startForTest({ ...email.settings, SMTP_URL: urlOf(server, scheme, user) }, { env });
    await server.untilReceived(1);
    expect(server.received[0]).toMatchObject({ secure: true, subject: 'Your password was changed' });
  },
  20_000,
);

test.each([
  ['smtps', { secure: true }],
  ['smtp', {}],
])('%s:// sends nothing to a server with an untrusted certificate', async (scheme, options) => {
  server = await startMailServer({ ...certificate, ...options });
  expect(await errorOf(urlOf(server, scheme))).toMatch(
    /^no response from the mail server at CONN: (ESOCKET|ETLS), DEPTH_ZERO_SELF_SIGNED_CERT$/,
  );
  expect(server.received).toEqual([]);
});

test('a rejected password is reported with its reply code', async () => {
  server = await startMailServer({ ...certificate, ...login, secure: true, authMethods: ['PLAIN'] });
  await email.enqueue(await email.app.register());
  const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') };
  const service = await startForTest(
    { ...email.settings, SMTP_URL: urlOf(server, 'smtps', 'keyturn:hunter2@') },
    { env },
  );
  for (let tries = 0; tries < 200 && (await email.rows())[0]?.last_fault === null; tries += 1) await sleep(50);
  expect(await email.rows()).toMatchObject([
    { last_fault: 'the mail server responded with 535 at AUTH PLAIN', sent_at: null },
  ]);
  expect(service.lines.join('\n')).not.toContain('hunter2');
}, 20_000);

test('credentials are not sent to a server without TLS', async () => {
  const credentials: unknown[] = [];
  server = await startMailServer({
    onAuth: (auth, _session, done) => (credentials.push(auth), done(null, { user: 'x' })),
    allowInsecureAuth: true,
  });
  expect(await errorOf(urlOf(server, 'smtp', user))).toMatch(/^the mail server responded with 5\d\d at STARTTLS$/);
  expect([credentials, server.received]).toEqual([[], []]);
  expect(await errorOf(urlOf(server, 'smtp'))).toBeUndefined();
});
