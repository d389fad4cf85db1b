import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { startStatementTap, type StatementTap } from '../support/statement-tap.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

jest.setTimeout(60_000);

// No response reveals whether an account exists (ASVS 5.0, 6.3.8). `npm run bench:enumeration` compares the response times.
let database: TestDatabase;
let tap: StatementTap;
let app: TestApp;
let addresses: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  tap = await startStatementTap(database.url);
  app = await startApp({ EMAIL_VERIFICATION: 'required' }, { databaseUrl: tap.url });
  const signUp = async () => {
    const email = freshEmail();
    await app.post('/register', { email, password, display_name: 'Ada' });
    return email;
  };
  const verified = async () => {
    const email = await signUp();
    await app.post('/verify-email', { token: (await app.nextEmail(email)).token });
    return email;
  };
  addresses = {
    known: await verified(),
    unverified: await signUp(),
    disabled: await verified(),
    unknown: freshEmail(),
  };
  const disabled = await app.db.users.byEmail(addresses['disabled'] ?? '');
  await app.db.users.disable(disabled?.id ?? '');
  await app.emails();
});
beforeEach(() => tap.reset());
afterAll(async () => {
  await app.close();
  await tap.close();
  await database.drop();
});

/** Everything in a response that could differ between accounts, including the rate limit. */
function comparable({ status, headers, body, text }: Response) {
  const { date: _, 'x-request-id': requestId, ratelimit, ...others } = headers as Record<string, string>;
  const limit = ratelimit?.replace(/r=\d+; t=\d+/, 'r=…; t=…');
  return { status, headers: others, limit, text: text.replace(String(body.instance ?? requestId), '…') };
}

const requests: Record<string, (email: string) => Promise<Response>> = {
  '/login': (email) => app.login(email, 'a wrong password'),
  '/register': (email) => app.post('/register', { email, password, display_name: 'Ada' }),
  '/forgot-password': (email) => app.post('/forgot-password', { email }),
  '/verify-email/resend': (email) => app.post('/verify-email/resend', { email }),
};

describe.each(Object.keys(requests))('%s', (path) => {
  test('returns the same response with the same number of statements for known, unverified, disabled and unknown addresses', async () => {
    const request = requests[path];
    if (!request) throw new Error('no such request');
    await request(freshEmail()); // the first request prepares its statements
    const responses: Record<string, unknown> = {};
    for (const [kind, email] of Object.entries(addresses)) {
      tap.reset();
      const response = comparable(await request(path === '/register' && kind === 'unknown' ? freshEmail() : email));
      responses[kind] = { ...response, statements: tap.statements().length };
    }
    const { unknown, ...others } = responses;
    expect(unknown).toMatchObject({ statements: expect.any(Number) });
    for (const [kind, response] of Object.entries(others)) expect([kind, response]).toEqual([kind, unknown]);
  });
});

test('forgot-password and resend run one statement each', async () => {
  for (const path of ['/forgot-password', '/verify-email/resend']) {
    await requests[path]?.(freshEmail());
    tap.reset();
    await requests[path]?.(addresses['known'] ?? '');
    expect(tap.statements()).toHaveLength(1);
  }
});
