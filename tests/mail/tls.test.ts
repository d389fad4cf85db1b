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
import { from, openPostOffice, type PostOffice } from './post-office.ts';

const certificate = makeCertificate();
const login: Partial<SMTPServerOptions> = {
  authOptional: false,
  onAuth: ({ username, password }, _session, done) =>
    username === 'keyturn' && password === 'p@ss:word'
      ? done(null, { user: username })
      : done(Object.assign(new Error('who is that'), { responseCode: 535 })),
};
const user = 'keyturn:p%40ss%3Aword@';

let office: PostOffice;
let folder: string;
let server: MailServer | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-tls-'));
  writeFileSync(join(folder, 'cert.pem'), certificate.cert);
  office = await openPostOffice();
});
afterEach(async () => {
  await server?.close();
  await office.clear();
});
afterAll(async () => {
  await office.close();
  await rm(folder, { recursive: true });
});

const urlOf = ({ port }: MailServer, scheme: string, credentials = '') => `${scheme}://${credentials}127.0.0.1:${port}`;
const mail = { id: 'one', to: 'ada@example.com', subject: 'Hello', text: 'Hello.\n', html: '<p>Hello.</p>' };

/** The fault of one mail; undefined where it was taken. */
async function faultOf(url: string): Promise<string | undefined> {
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
  'by %s:// a mail goes over TLS to a server whose certificate is known, with its user',
  async (scheme, options) => {
    server = await startMailServer({ ...certificate, ...login, ...options });
    await office.post(await office.app.register());
    const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') };
    await startForTest({ ...office.settings, SMTP_URL: urlOf(server, scheme, user) }, { env });
    await server.untilReceived(1);
    expect(server.received[0]).toMatchObject({ secure: true, subject: 'Your password was changed' });
  },
  20_000,
);

test.each([
  ['smtps', { secure: true }],
  ['smtp', {}],
])('by %s:// a server whose certificate nobody vouches for gets nothing', async (scheme, options) => {
  server = await startMailServer({ ...certificate, ...options });
  expect(await faultOf(urlOf(server, scheme))).toMatch(
    /^no response from the mail server at CONN: (ESOCKET|ETLS), DEPTH_ZERO_SELF_SIGNED_CERT$/,
  );
  expect(server.received).toEqual([]);
});

test('a password that is refused is told by its code', async () => {
  server = await startMailServer({ ...certificate, ...login, secure: true, authMethods: ['PLAIN'] });
  await office.post(await office.app.register());
  const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') };
  const service = await startForTest(
    { ...office.settings, SMTP_URL: urlOf(server, 'smtps', 'keyturn:hunter2@') },
    { env },
  );
  for (let tries = 0; tries < 200 && (await office.rows())[0]?.last_fault === null; tries += 1) await sleep(50);
  expect(await office.rows()).toMatchObject([
    { last_fault: 'the mail server responded with 535 at AUTH PLAIN', sent_at: null },
  ]);
  expect(service.lines.join('\n')).not.toContain('hunter2');
}, 20_000);

test('a user and password are not sent to a server without TLS', async () => {
  const seen: unknown[] = [];
  server = await startMailServer({
    onAuth: (auth, _session, done) => (seen.push(auth), done(null, { user: 'x' })),
    allowInsecureAuth: true,
  });
  expect(await faultOf(urlOf(server, 'smtp', user))).toMatch(/^the mail server responded with 5\d\d at STARTTLS$/);
  expect([seen, server.received]).toEqual([[], []]);
  expect(await faultOf(urlOf(server, 'smtp'))).toBeUndefined();
});
