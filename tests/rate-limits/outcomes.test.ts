// The limits that count outcomes: guesses, registrations, refused refreshes, emails.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { postForm } from '../support/oauth.ts';
import { type Call, callFrom, freshAddress, registration, statuses, withApp, wrongLogin } from './calls.ts';
import { rateLimitOf } from './fields.ts';

jest.setTimeout(120_000);

const limits = {
  RATE_LIMIT_LOGIN: '5/15m',
  RATE_LIMIT_REGISTER: '4/1h',
  RATE_LIMIT_REFRESH: '3/1m',
  RATE_LIMIT_MAIL: '3/15m',
  TRUST_PROXY: '1',
} as const;

let app: TestApp;
beforeAll(async () => {
  app = await startApp(limits);
});
afterAll(() => app.close());

const from = (ip: string, call: Call) => callFrom(app, ip, call);

async function registered(): Promise<Account> {
  const email = freshEmail();
  const { body } = await from(freshAddress(), registration({ email }));
  return { ...(body as Account), email };
}

/** The token of the newest email to this address. */
const mailedToken = async (email: string): Promise<string> => (await app.nextEmail(email)).token ?? '';

const times = (count: number, status: number): number[] => Array<number>(count).fill(status);

describe('login', () => {
  test('only wrong passwords count', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    const login: Call = ['post', '/login', { body: { email, password } }];
    expect(await statuses(12, () => from(ip, login))).toEqual(times(12, 200));
    expect(await statuses(8, () => from(ip, ['post', '/login', { body: { email } }]))).toEqual(times(8, 400));
    expect(await statuses(5, () => from(ip, wrongLogin()))).toEqual(times(5, 401));
    expect((await from(ip, login)).status).toBe(429);
  });

  test('attempts on a locked account count', async () => {
    const own = await startApp({ ...limits, LOCKOUT_ATTEMPTS: '2' });
    const ip = freshAddress();
    const guess = wrongLogin();
    expect(await statuses(7, () => callFrom(own, ip, guess))).toEqual([401, 401, 423, 423, 423, 429, 429]);
    await own.close();
  });

  test('one password tried on many accounts reaches the limit of the address', async () => {
    const ip = freshAddress();
    expect(await statuses(7, () => from(ip, wrongLogin()))).toEqual([...times(5, 401), 429, 429]);
  });

  test('the limit also bounds how many concurrent guesses are checked', async () => {
    const ip = freshAddress();
    const responses = await Promise.all(Array.from({ length: 40 }, () => from(ip, wrongLogin())));
    expect(responses.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(responses.filter(({ status }) => status === 429)).toHaveLength(35);
  });

  test('a burst of correct logins does not exhaust the limit', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    const login: Call = ['post', '/login', { body: { email, password } }];
    const responses = await Promise.all(Array.from({ length: 40 }, () => from(ip, login)));
    expect(responses.map(({ status }) => status)).toContain(429);
    expect((await from(ip, login)).status).toBe(200);
  });

  test('refused requests do not free the limit', async () => {
    const ip = freshAddress();
    expect(await statuses(5, () => from(ip, wrongLogin()))).toEqual(times(5, 401));
    expect(await statuses(20, () => from(ip, wrongLogin()))).toEqual(times(20, 429));
  });

  test('/login and the passwords under /me share one counter', async () => {
    const [{ email, access_token: token }, ip] = [await registered(), freshAddress()];
    const wrong = { current_password: 'not it' };
    await from(ip, [
      'post',
      '/me/password',
      { token, body: { ...wrong, new_password: 'a quieter mare and no battery' } },
    ]);
    await from(ip, ['post', '/me/delete', { token, body: wrong }]);
    await from(ip, ['post', '/me/email', { token, body: { ...wrong, new_email: freshEmail() } }]);
    await from(ip, wrongLogin());
    const last = await from(ip, wrongLogin());
    expect([last.status, rateLimitOf(last)]).toEqual([401, expect.objectContaining({ group: 'login', left: 0 })]);
    expect((await from(ip, ['post', '/login', { body: { email, password } }])).status).toBe(429);
    expect((await from(ip, ['get', '/me', { token }])).status).toBe(200);
  });

  test('wrong client secrets count, and a correct one works after the limit is exhausted', async () => {
    const ip = freshAddress();
    const key = await app.apiKeyOf(await registered(), ['profile']);
    const requestToken = (secret: string) =>
      postForm(
        app,
        '/token',
        { grant_type: 'client_credentials', client_id: key.client_id, client_secret: secret },
        { 'x-forwarded-for': ip },
      );
    expect(await statuses(7, () => requestToken('ktk_wrong'))).toEqual([...times(5, 401), 429, 429]);
    expect((await requestToken(key.client_secret)).status).toBe(200);
    expect((await from(ip, wrongLogin())).status).toBe(429);
  });
});

test('logins succeed while six other networks keep the hash queue full', () =>
  withApp({ HASH_CONCURRENCY: '1', HASH_QUEUE_MAX: '17' }, async (own) => {
    const honest = await Promise.all(Array.from({ length: 4 }, () => own.register()));
    let isFlooding = true;
    const flood = async (ip: string) => {
      while (isFlooding) await callFrom(own, ip, wrongLogin());
    };
    // One is hashed and seventeen wait.
    const floods = Array.from({ length: 18 }, (_, index) => flood(`203.0.${index % 6}.${index + 1}`));
    const results = await statuses(4, (index) =>
      callFrom(own, freshAddress(), ['post', '/login', { body: { email: honest[index]?.email, password } }]),
    );
    isFlooding = false;
    await Promise.all(floods);
    expect(results).toEqual(times(4, 200));
  }));

describe('register', () => {
  test('registrations with invalid passwords do not limit logins or registrations', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    expect(await statuses(20, () => from(ip, registration({ password: 'short' })))).toEqual(times(20, 400));
    expect((await from(ip, ['post', '/login', { body: { email, password } }])).status).toBe(200);
    expect(await statuses(5, () => from(ip, registration()))).toEqual([...times(4, 201), 429]);
    expect((await from(ip, ['post', '/login', { body: { email, password } }])).status).toBe(200);
  });

  test('attempts to register a taken email address count', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    expect(await statuses(5, () => from(ip, registration({ email })))).toEqual([...times(4, 409), 429]);
  });

  test('of 150 registrations from one address, 30 succeed', () =>
    withApp({ RATE_LIMIT_REGISTER: '30/1h' }, async (own) => {
      const ip = freshAddress();
      const responses = await Promise.all(Array.from({ length: 150 }, () => callFrom(own, ip, registration())));
      expect(responses.filter(({ status }) => status === 201)).toHaveLength(30);
      expect(responses.filter(({ status }) => status === 429)).toHaveLength(120);
    }));

  test.each([
    ['an IPv4 /24', (index: number) => `203.0.113.${index + 1}`, '203.0.114.1'],
    ['an IPv6 /48', (index: number) => `2001:db8:1:${index + 1}00::1`, '2001:db8:2:100::1'],
  ])('the addresses of %s share ten times the limit of one address', (_, address, stranger) =>
    withApp({ RATE_LIMIT_REGISTER: '1/1h' }, async (own) => {
      const results = await statuses(12, (index) => callFrom(own, address(index), registration()));
      expect(results).toEqual([...times(10, 201), 429, 429]);
      expect((await callFrom(own, stranger, registration())).status).toBe(201);
    }),
  );
});

describe('refresh', () => {
  const refreshFrom = (ip: string, token: string) => from(ip, ['post', '/refresh', { body: { refresh_token: token } }]);
  const forged = `ktr_${'A'.repeat(91)}`;

  test('successful refreshes are not limited, whatever the session', async () => {
    const ip = freshAddress();
    let { refresh_token: token } = await registered();
    const next = async () => {
      const response = await refreshFrom(ip, token);
      token = (response.body as { refresh_token: string }).refresh_token;
      return response;
    };
    expect(await statuses(8, next)).toEqual(times(8, 200));
  });

  test('refused refreshes are limited by address, and valid tokens still work', async () => {
    const ip = freshAddress();
    expect(await statuses(5, () => refreshFrom(ip, forged))).toEqual([401, 401, 401, 429, 429]);
    const limited = await refreshFrom(ip, forged);
    expect(rateLimitOf(limited)).toMatchObject({ group: 'refresh', left: 0, quota: 3 });
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    const { refresh_token: token } = await registered();
    expect((await refreshFrom(ip, token)).status).toBe(200);
    expect((await refreshFrom(freshAddress(), forged)).status).toBe(401);
  });

  test('validation errors do not count', async () => {
    const ip = freshAddress();
    expect(await statuses(8, () => from(ip, ['post', '/refresh', { body: { refresh: 'x' } }]))).toEqual(times(8, 400));
    expect((await refreshFrom(ip, forged)).status).toBe(401);
  });

  test('an exhausted limit does not hide the reuse of a token', () =>
    withApp({ ...limits, REFRESH_GRACE_PERIOD: '0' }, async (own) => {
      const ip = freshAddress();
      const call = (token: string) => callFrom(own, ip, ['post', '/refresh', { body: { refresh_token: token } }]);
      expect(await statuses(4, () => call(forged))).toEqual([401, 401, 401, 429]);
      const stolen = await own.register();
      const { body } = await call(stolen.refresh_token);
      const reused = await call(stolen.refresh_token);
      expect([reused.status, reused.body]).toEqual([401, expect.objectContaining({ reason: 'reused' })]);
      // The session is also revoked for the thief, and its tokens now count as refused tokens.
      expect((await call((body as Account).refresh_token)).status).toBe(429);
      expect((await own.refresh((body as Account).refresh_token)).body).toMatchObject({ reason: 'revoked' });
    }));

  test('the refresh grant of /token shares the counter of /refresh', async () => {
    const ip = freshAddress();
    const form = { grant_type: 'refresh_token', refresh_token: forged };
    const requestToken = () => postForm(app, '/token', form, { 'x-forwarded-for': ip });
    expect((await refreshFrom(ip, forged)).status).toBe(401);
    expect(await statuses(3, requestToken)).toEqual([400, 400, 429]);
    expect((await refreshFrom(ip, forged)).status).toBe(429);
  });
});

describe('mail', () => {
  const forgot = (email = freshEmail()): Call => ['post', '/forgot-password', { body: { email } }];
  const reset = (token: string, newPassword: string): Call => [
    'post',
    '/reset-password',
    { body: { token, new_password: newPassword } },
  ];
  const resetToken = async (email: string) => {
    await from(freshAddress(), forgot(email));
    return mailedToken(email);
  };

  test('requests that cause emails are limited by address', async () => {
    const ip = freshAddress();
    expect((await from(ip, ['post', '/verify-email/resend', { body: { email: freshEmail() } }])).status).toBe(202);
    expect(await statuses(4, () => from(ip, forgot()))).toEqual([202, 202, 429, 429]);
  });

  test('eight people behind one address can follow their links', async () => {
    const ip = freshAddress();
    const people = await Promise.all(Array.from({ length: 8 }, registered));
    const verify = async (index: number) => {
      const token = await mailedToken(people[index]?.email ?? '');
      return from(ip, ['post', '/verify-email', { body: { token } }]);
    };
    expect(await statuses(8, verify)).toEqual(times(8, 204));
  });

  test('a password that the policy refuses four times does not keep the user from resetting it', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    await app.nextEmail(email);
    expect((await from(ip, forgot(email))).status).toBe(202);
    const token = await mailedToken(email);
    expect(await statuses(4, () => from(ip, reset(token, 'short')))).toEqual(times(4, 400));
    expect((await from(ip, reset(token, 'a quieter mare and no battery'))).status).toBe(204);
  });

  test('invalid one-time tokens count, and a valid link works after the limit is exhausted', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    await app.nextEmail(email);
    const token = await resetToken(email);
    const invalid = `kto_${'A'.repeat(86)}`;
    const newPassword = 'a quieter mare and no battery';
    expect(await statuses(5, () => from(ip, reset(invalid, newPassword)))).toEqual([400, 400, 400, 429, 429]);
    expect((await from(ip, ['post', '/verify-email', { body: { token: invalid } }])).status).toBe(429);
    expect((await from(ip, reset(token, newPassword))).status).toBe(204);
  });

  test('a change of email address counts as an email', async () => {
    const [{ access_token: token }, ip] = [await registered(), freshAddress()];
    const change = (): Call => [
      'post',
      '/me/email',
      { token, body: { new_email: freshEmail(), current_password: password } },
    ];
    const response = await from(ip, change());
    expect([response.status, rateLimitOf(response)]).toEqual([
      202,
      expect.objectContaining({ group: 'mail', left: 2 }),
    ]);
  });
});

describe('a mailbox', () => {
  let own: TestApp;
  beforeAll(async () => {
    own = await startApp();
  });
  afterAll(() => own.close());

  let mailboxes = 0;
  /** Spellings of one mailbox that no other test uses. */
  const aliases = (count: number, spell: (name: string, index: number) => string): string[] => {
    const name = `victim${(mailboxes += 1)}`;
    return Array.from({ length: count }, (_, index) => spell(name, index));
  };
  const plusAliases = (count: number) => aliases(count, (name, index) => `${name}+${index}@example.com`);
  const receivedBy = async (addresses: readonly string[]) =>
    (await own.emails()).filter(({ to }) => addresses.includes(to));
  const registerAll = async (emails: readonly string[]) => {
    for (const email of emails) await own.register({ email });
  };

  test.each([
    ['with +tag', (name: string, index: number) => `${name}+${index}@example.com`],
    ['with dots at Gmail', (name: string, index: number) => `${name.slice(0, 3)}.${name.slice(3)}+${index}@gmail.com`],
    [
      'in two domains of Gmail',
      (name: string, index: number) => `${name}+${index}@${index % 2 ? 'google' : 'g'}mail.com`,
    ],
  ])('receives ten emails an hour for addresses %s', async (_, spell) => {
    const emails = aliases(13, spell);
    await registerAll(emails);
    expect(await receivedBy(emails)).toHaveLength(10);
  });

  test('has limits for resets, for password changes, and for all else that anyone can request for unverified addresses', async () => {
    const emails = plusAliases(5);
    await registerAll(emails);
    await own.emails();
    const { access_token: token } = (await own.login(emails[4] ?? '')).body as Account;
    for (let round = 0; round < 4; round += 1) {
      for (const path of ['/forgot-password', '/verify-email/resend']) await own.post(path, { email: emails[round] });
      const body = { current_password: password, new_password: password };
      expect((await own.call('post', '/me/password', { token, body })).status).toBe(204);
      await own.emails();
    }
    const subjects = (await receivedBy(emails)).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject === 'Reset your password')).toHaveLength(4);
    // Five registrations, and four each of the other emails.
    expect(subjects).toHaveLength(17);
  });

  test.each([
    ['password resets', '/forgot-password', 'Reset your password'],
    ['verification links', '/verify-email/resend', 'Verify your email address'],
  ])('reserves two %s for an address, whatever happens to its aliases', async (_, path, subject) => {
    const [victim = '', ...others] = plusAliases(11);
    await registerAll(others);
    await own.emails();
    await registerAll([victim]);
    for (const email of others) await own.post(path, { email });
    await own.emails();
    for (let times = 0; times < 4; times += 1) {
      await own.post(path, { email: victim });
      await own.emails();
    }
    const subjects = (await receivedBy([victim])).map((email) => email.subject);
    expect(subjects.filter((each) => each === subject)).toHaveLength(2);
  });

  test('does not lose the notice of a password change to the emails of its aliases', async () => {
    const [victim = '', ...others] = plusAliases(11);
    const { access_token: token } = await own.register({ email: victim });
    await registerAll(others);
    await own.emails();
    for (const email of others) await own.post('/verify-email/resend', { email });
    await own.emails();
    // The aliases also use up the limit of these notices.
    const body = { current_password: password, new_password: password };
    for (const email of others) {
      const { access_token: alias } = (await own.login(email)).body as Account;
      expect((await own.call('post', '/me/password', { token: alias, body })).status).toBe(204);
    }
    for (let times = 0; times < 3; times += 1) await own.call('post', '/me/password', { token, body });
    const subjects = (await receivedBy([victim])).map(({ subject }) => subject);
    expect(subjects.filter((each) => each === 'Your password was changed')).toHaveLength(2);
  });

  test('has the limit for each verified address, whatever happens to its other addresses', async () => {
    const [owner = '', ...others] = plusAliases(14);
    const account = await own.register({ email: owner });
    await own.nextEmail(owner);
    await own.db.users.markVerified(account);
    await registerAll(others);
    // The first verification email to the owner also counts.
    expect(await receivedBy(others)).toHaveLength(9);
    await own.post('/forgot-password', { email: owner });
    expect(await own.nextEmail(owner)).toMatchObject({ subject: 'Reset your password' });
  });

  test('counts addresses with dots elsewhere than at Gmail as different mailboxes', async () => {
    const emails = aliases(12, (name, index) => `${name}${'.x'.repeat(index)}@example.com`);
    await registerAll(emails);
    expect(await receivedBy(emails)).toHaveLength(12);
  });

  test('has one limit for changes to its addresses, whether or not accounts have them', async () => {
    const [taken = '', unused = '', ...free] = plusAliases(12);
    await own.register({ email: taken });
    const changeTo = async (email: string) => {
      const { access_token: token } = await own.register();
      const body = { new_email: email, current_password: password };
      return (await own.call('post', '/me/email', { token, body })).status;
    };
    expect(await statuses(10, async (index) => ({ status: await changeTo(free[index] ?? '') }))).toEqual(
      times(10, 202),
    );
    // Two are reserved for each address.
    for (const email of [taken, unused])
      expect([await changeTo(email), await changeTo(email), await changeTo(email)]).toEqual([202, 202, 429]);
    expect(await receivedBy(free)).toHaveLength(10);
  });

  test('receives an email that its owner requested before those of waiting registrations', async () => {
    const [forgetful, unverified] = [await own.register(), await own.register()];
    const before = (await own.emails()).length;
    await registerAll(Array.from({ length: 12 }, freshEmail));
    await own.post('/forgot-password', { email: forgetful.email });
    await own.post('/verify-email/resend', { email: unverified.email });
    const recipients = (await own.emails()).slice(before).map(({ to }) => to);
    expect(recipients).toHaveLength(14);
    expect(recipients.slice(0, 4)).toEqual(expect.arrayContaining([forgetful.email, unverified.email]));
  });

  test('receives at most ten emails if all requests for them are resolved concurrently', async () => {
    const emails = plusAliases(30);
    await registerAll(emails);
    await Promise.all(Array.from({ length: 6 }, () => own.emailWorker.deliverDue()));
    expect(await receivedBy(emails)).toHaveLength(10);
  });
});

describe('ceilings', () => {
  test('/refresh has ten times the default', () =>
    withApp({ RATE_LIMIT_DEFAULT: '2/1m' }, async (own) => {
      const ip = freshAddress();
      const { refresh_token: token } = await own.register();
      const refresh = () => callFrom(own, ip, ['post', '/refresh', { body: { refresh_token: token } }]);
      const first = await refresh();
      expect(rateLimitOf(first)).toMatchObject({ group: 'refresh_ceiling', quota: 20, left: 19 });
      expect(await statuses(20, refresh)).toEqual([...times(19, 200), 429]);
      expect(await statuses(3, () => callFrom(own, ip, ['get', '/openapi.json']))).toEqual([200, 200, 429]);
    }));

  test('all requests count, whatever their outcome', () =>
    withApp({ RATE_LIMIT_DEFAULT: '4/1m' }, async (own) => {
      const ip = freshAddress();
      const results = [
        await callFrom(own, ip, registration()),
        await callFrom(own, ip, registration({ password: 'short' })),
        await callFrom(own, ip, wrongLogin()),
        await callFrom(own, ip, ['get', '/me']),
        await callFrom(own, ip, ['get', '/me']),
      ];
      expect(results.map(({ status }) => status)).toEqual([201, 400, 401, 401, 429]);
    }));
});
