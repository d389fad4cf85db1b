import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, freshEmail, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const next = 'a quieter mare and no battery';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const requestChange = ({ access_token: token }: Pick<Account, 'access_token'>, newEmail: string, secret = password) =>
  app.post('/me/email', { new_email: newEmail, current_password: secret }, token);
const verify = (token: string | undefined) => app.post('/verify-email', { token });
const undo = (token: string | undefined) => app.post('/undo-email-change', { token });
const emailOf = async (account: Account) => (await app.db.users.get(account)).email;

/** Registers an account without a verified address and reads its first email. */
async function registerUnverified(): Promise<Account> {
  const account = await app.register();
  await app.nextEmail(account.email);
  return account;
}

/** Registers an account with a verified address and reads its first email. */
async function register(): Promise<Account> {
  const account = await registerUnverified();
  await app.db.users.markVerified(account);
  return account;
}

/** Changes the email address of an account and returns the new one. */
async function changeEmail(account: Account, newEmail = freshEmail()) {
  expect((await requestChange(account, newEmail)).status).toBe(202);
  expect((await verify((await app.nextEmail(newEmail)).token)).status).toBe(204);
  return newEmail;
}

test('a change takes effect when the new address is confirmed, and the old address is notified before and after', async () => {
  const account = await register();
  const newEmail = freshEmail();
  expect((await requestChange(account, newEmail)).status).toBe(202);
  const [confirmation, notice] = [await app.nextEmail(newEmail), await app.nextEmail(account.email)];
  expect(confirmation.link).toContain('/verify-email?token=');
  expect(notice.link).toContain('/undo-email-change?token=');
  expect(notice.text).not.toContain(newEmail);
  expect((await app.get('/me', account.access_token)).body).toMatchObject({ email: account.email });
  expect((await app.login(newEmail)).status).toBe(401);

  expect((await verify(confirmation.token)).status).toBe(204);
  expect((await app.get('/me', account.access_token)).body).toMatchObject({ email: newEmail, email_verified: true });
  expect((await app.login(newEmail)).status).toBe(200);
  expect((await app.login(account.email)).status).toBe(401);
  expect((await app.refresh(account.refresh_token)).status).toBe(200);
  expect((await app.nextEmail(account.email)).link).toContain('/undo-email-change?token=');
  const types = await app.db.audit.types({ user_id: account.user.id, type: 'email.' });
  expect(types).toEqual(['email.change_asked', 'email.changed']);
});

test('a change requires the password, a live session and a different address', async () => {
  const account = await app.register();
  expect((await requestChange(account, freshEmail(), 'not the one')).status).toBe(401);
  expect((await app.post('/me/email', { new_email: freshEmail(), current_password: password })).status).toBe(401);
  expect((await requestChange(account, account.email.toUpperCase())).body).toMatchObject({
    status: 400,
    code: 'validation_failed',
  });
  expect((await requestChange(account, 'invalid')).status).toBe(400);
  await app.post('/logout/all', undefined, account.access_token);
  expect((await requestChange(account, freshEmail())).status).toBe(401);
  expect(await app.emails(account.email)).toHaveLength(1);
});

test('wrong passwords count towards the lockout', async () => {
  const strict = await startApp({ LOCKOUT_ATTEMPTS: '2' });
  const { access_token: token, email } = await strict.register();
  const guess = () => strict.post('/me/email', { new_email: freshEmail(), current_password: 'a guess' }, token);
  expect([(await guess()).status, (await guess()).status, (await guess()).status]).toEqual([401, 401, 423]);
  expect((await strict.login(email)).status).toBe(423);
  await strict.close();
});

test.each(['before', 'after'])(
  'undoing a change %s it took effect revokes every session and requires a new password',
  async (timing) => {
    const account = await register();
    const newEmail = freshEmail();
    await requestChange(account, newEmail);
    const link = await app.nextEmail(account.email);
    const confirmation = await app.nextEmail(newEmail);
    if (timing === 'after') await verify(confirmation.token);

    expect((await undo(link.token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
    expect((await app.refresh(account.refresh_token)).status).toBe(401);
    expect((await app.get('/me', account.access_token)).status).toBe(401);
    for (const email of [account.email, newEmail]) expect((await app.login(email)).status).toBe(401);
    expect((await verify(confirmation.token)).status).toBe(400);
    expect((await undo(link.token)).status).toBe(400);

    const { token } = await app.nextEmail(account.email);
    expect((await app.post('/reset-password', { token, new_password: next })).status).toBe(204);
    expect((await app.login(account.email, next)).status).toBe(200);
  },
);

// The second change is made by a process whose clock is behind or ahead.
test.each([0, -3600, 60])(
  'an attacker cannot undo after two changes, the owner can (clock %i s off)',
  async (seconds) => {
    const account = await register();
    const second = await changeEmail(account);
    const ownerEmail = await app.nextEmail(account.email);
    app.clock.step(seconds);
    const third = await app.login(second);
    await changeEmail({ ...account, access_token: third.body.access_token });
    app.clock.step(-seconds);
    const attackerEmail = await app.nextEmail(second);
    expect((await undo(ownerEmail.token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
    expect((await undo(attackerEmail.token)).status).toBe(400);
    expect(await emailOf(account)).toBe(account.email);
  },
);

test.each(['requested', 'confirmed'])(
  'an attacker who undoes their own %s change does not invalidate the undo link of the owner',
  async (state) => {
    const account = await register();
    const second = await changeEmail(account);
    const ownerEmail = await app.nextEmail(account.email);
    if (state === 'confirmed') await changeEmail(account);
    else await requestChange(account, freshEmail());
    expect((await undo((await app.nextEmail(second)).token)).status).toBe(204);
    const resetEmail = await app.nextEmail(second);
    expect(await emailOf(account)).toBe(second);
    const taken = await app.post('/register', { email: account.email, password, display_name: 'Eve' });
    expect(taken.status).toBe(409);

    expect((await undo(ownerEmail.token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
    const body = { token: resetEmail.token, new_password: next };
    expect((await app.post('/reset-password', body)).status).toBe(400);
    const tokens = await app.db.oneTimeTokens.of(account);
    expect(tokens).toMatchObject([{ purpose: 'password_reset', email: account.email }]);
  },
);

test('the lifetime of undo links starts when the change takes effect', async () => {
  const account = await register();
  const newEmail = freshEmail();
  await requestChange(account, newEmail);
  const first = await app.nextEmail(account.email);
  await app.db.oneTimeTokens.age(account, 50 * 60);
  await verify((await app.nextEmail(newEmail)).token);
  const undoTokens = (await app.db.oneTimeTokens.of(account)).filter(({ purpose }) => purpose === 'email_undo');
  const hours = (from: number, to: number) => Math.round((to - from) / 3_600_000);
  const lifetimes = undoTokens.map(({ created_at: created, expires_at: expires }) => ({
    left: hours(Date.now(), expires.getTime()),
    total: hours(created.getTime(), expires.getTime()),
  }));
  expect(lifetimes).toEqual([
    { left: 72, total: 72 },
    { left: 72, total: 72 },
  ]);
  expect((await undo(first.token)).status).toBe(204);
});

test('an address that an undo link can restore cannot be registered or taken by another account', async () => {
  const account = await register();
  await changeEmail(account);
  const link = await app.nextEmail(account.email);
  const taken = await app.post('/register', { email: account.email, password, display_name: 'Eve' });
  expect(taken.body).toMatchObject({ status: 409, code: 'email_taken' });
  const attacker = await app.register();
  await requestChange(attacker, account.email);
  expect((await app.nextEmail(account.email)).link).toBeUndefined();
  expect((await undo(link.token)).status).toBe(204);
  expect(await emailOf(account)).toBe(account.email);
});

test('concurrent registrations of the old address never prevent the undo', async () => {
  for (let round = 0; round < 10; round += 1) {
    const account = await register();
    const newEmail = freshEmail();
    await requestChange(account, newEmail);
    const { token } = await app.nextEmail(newEmail);
    const body = { email: account.email, password, display_name: 'Eve' };
    const [confirmed, ...registered] = await Promise.all([
      verify(token),
      ...[1, 2, 3].map(() => app.post('/register', body)),
    ]);
    expect(confirmed.status).toBe(204);
    expect(registered.map(({ status }) => status)).toEqual([409, 409, 409]);
    expect((await undo((await app.nextEmail(account.email)).token)).status).toBe(204);
  }
});

test('the owner can change back to the old address', async () => {
  const account = await register();
  await changeEmail(account);
  await changeEmail(account, account.email);
  expect(await emailOf(account)).toBe(account.email);
});

test('a change to an address with an account returns the same response as one to a free address', async () => {
  const [account, other] = [await register(), await register()];
  const [free, taken] = [await requestChange(account, freshEmail()), await requestChange(account, other.email)];
  expect([taken.status, taken.text]).toEqual([free.status, free.text]);
  const notice = await app.nextEmail(other.email);
  expect(notice.link).toBeUndefined();
  expect(notice.text).not.toContain('Ada');
});

test('of two accounts that confirm the same address, one gets it', async () => {
  const accounts = [await register(), await register()];
  const wanted = freshEmail();
  const tokens: (string | undefined)[] = [];
  for (const account of accounts) {
    await requestChange(account, wanted);
    tokens.push((await app.nextEmail(wanted)).token);
  }
  const statuses = (await Promise.all(tokens.map(verify))).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([204, 400]);
  const emails = await Promise.all(accounts.map(emailOf));
  expect(emails.filter((email) => email === wanted)).toHaveLength(1);
});

test('of 20 concurrent undo requests, one succeeds', async () => {
  const account = await register();
  await changeEmail(account);
  const { token } = await app.nextEmail(account.email);
  const statuses = (await Promise.all(Array.from({ length: 20 }, () => undo(token)))).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([204, ...Array.from({ length: 19 }, () => 400)]);
});

test('an account can request ten email changes an hour', async () => {
  const account = await register();
  const statuses: number[] = [];
  for (let count = 0; count < 11; count += 1) statuses.push((await requestChange(account, freshEmail())).status);
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 202), 429]);
  expect((await requestChange(account, freshEmail())).headers).toMatchObject({ 'retry-after': '3600' });
});

test('an address receives ten emails of a kind an hour, whichever accounts request them, and its link stays valid', async () => {
  const [stranger, owner] = [freshEmail(), await register()];
  await requestChange(owner, stranger);
  const { token } = await app.nextEmail(stranger);
  const statuses: number[] = [];
  for (let accounts = 0; accounts < 2; accounts += 1) {
    const account = await register();
    for (let count = 0; count < 6; count += 1) {
      statuses.push((await requestChange(account, stranger)).status);
      await app.emails();
    }
  }
  expect(statuses.filter((status) => status === 202)).toHaveLength(9);
  expect(await app.emails(stranger)).toHaveLength(10);
  expect(statuses.slice(-3)).toEqual([429, 429, 429]);
  expect((await verify(token)).status).toBe(204);
});

describe('an address that was never verified', () => {
  const registerAgain = (email: string) => app.post('/register', { email, password, display_name: 'Owner' });

  test('receives a notice of the change without a link', async () => {
    const account = await registerUnverified();
    await requestChange(account, freshEmail());
    const notice = await app.nextEmail(account.email);
    expect([notice.subject, notice.link]).toEqual(['Request to change your email address', undefined]);
    expect(notice.text).toContain('reset your password');
  });

  test('is free as soon as the account has moved away', async () => {
    const account = await registerUnverified();
    const newEmail = await changeEmail(account);
    expect((await registerAgain(account.email)).status).toBe(201);
    expect((await app.login(newEmail)).status).toBe(200);
    expect(await app.emails(account.email)).toHaveLength(3); // the verification link, the notice, and the owner's link
  });

  test('cannot take back an account whose new address someone else confirmed and whose password they reset', async () => {
    const stranger = await registerUnverified();
    const victim = await changeEmail(stranger);
    await app.nextEmail(stranger.email);
    await app.post('/forgot-password', { email: victim });
    const body = { token: (await app.nextEmail(victim)).token, new_password: next };
    expect((await app.post('/reset-password', body)).status).toBe(204);
    const purposes = (await app.db.oneTimeTokens.of(stranger)).map(({ purpose }) => purpose);
    expect(purposes).toEqual([]);
    expect((await app.emails(stranger.email)).filter(({ link }) => link?.includes('undo'))).toEqual([]);
  });

  test('can cancel the change with a password reset until it takes effect', async () => {
    const account = await registerUnverified();
    const newEmail = freshEmail();
    await requestChange(account, newEmail);
    const { token } = await app.nextEmail(newEmail);
    await app.nextEmail(account.email);
    await app.post('/forgot-password', { email: account.email });
    const body = { token: (await app.nextEmail(account.email)).token, new_password: next };
    expect((await app.post('/reset-password', body)).status).toBe(204);
    expect((await verify(token)).status).toBe(400);
    expect(await emailOf(account)).toBe(account.email);
  });

  test('can undo the change if it was verified between the request and the confirmation', async () => {
    const account = await app.register();
    const { token: verification } = await app.nextEmail(account.email);
    const newEmail = freshEmail();
    await requestChange(account, newEmail);
    expect((await app.nextEmail(account.email)).link).toBeUndefined();
    expect((await verify(verification)).status).toBe(204);
    expect((await verify((await app.nextEmail(newEmail)).token)).status).toBe(204);
    expect((await registerAgain(account.email)).status).toBe(409);
    expect((await undo((await app.nextEmail(account.email)).token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
  });

  test('is not verified by a change away from it that a stranger of the new address confirms', async () => {
    const account = await registerUnverified();
    const second = await changeEmail(account);
    await changeEmail(account);
    const reserved = await Promise.all([account.email, second].map(registerAgain));
    expect(reserved.map(({ status }) => status)).toEqual([201, 409]);
  });
});

describe('the migration for undo links of earlier versions', () => {
  const migrate = async () =>
    app.sql.query(
      await readFile('prisma/migrations/20261201130000_undo_links_of_unverified_addresses/migration.sql', 'utf8'),
    );
  /** An undo link for the current address, as earlier versions issued it whether or not the address was verified. */
  const linkOf = async (account: Account, newEmail: string): Promise<string | undefined> => {
    await app.db.users.markVerified(account);
    await requestChange(account, newEmail);
    return (await app.nextEmail(account.email)).token;
  };

  test.each(['requested', 'confirmed'])(
    'voids the link and the reservation of an address that was never verified, if the change is %s',
    async (state) => {
      const account = await registerUnverified();
      const newEmail = freshEmail();
      const link = await linkOf(account, newEmail);
      await app.db.users.markUnverified(account);
      if (state === 'confirmed') await verify((await app.nextEmail(newEmail)).token);
      await migrate();
      expect((await undo(link)).status).toBe(400);
      expect(await emailOf(account)).toBe(state === 'confirmed' ? newEmail : account.email);
    },
  );

  test.each<[how: string, prove: (account: Account) => Promise<unknown>]>([
    ['with the emailed link', async ({ email }) => verify((await app.nextEmail(email)).token)],
    [
      'with a password reset',
      async ({ email }) => {
        await app.nextEmail(email);
        await app.post('/forgot-password', { email });
        await app.post('/reset-password', { token: (await app.nextEmail(email)).token, new_password: password });
      },
    ],
    [
      'by an administrator',
      async ({ user }) => {
        const { token } = await app.admin();
        await app.call('patch', `/admin/users/${user.id}`, { body: { email_verified: true }, token });
      },
    ],
  ])('keeps the link of an address that was verified %s', async (_how, prove) => {
    const account = await app.register();
    await prove(account);
    const session = (await app.login(account.email)).body as Account;
    const newEmail = freshEmail();
    const link = await linkOf({ ...account, access_token: session.access_token }, newEmail);
    await verify((await app.nextEmail(newEmail)).token);
    await migrate();
    expect((await undo(link)).status).toBe(204);
  });
});

test('deleting an account deletes its tokens and unsent emails', async () => {
  const account = await register();
  await requestChange(account, freshEmail());
  await app.post('/me/delete', { current_password: password }, account.access_token);
  for (const table of ['mails', 'one_time_tokens', 'audit_personal_data', 'sessions'])
    expect(await app.db.count(table, { user_id: account.user.id })).toBe(0);
  expect(await app.emails(account.email)).toHaveLength(1);
});
