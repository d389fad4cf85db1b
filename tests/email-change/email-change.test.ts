import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Account, freshEmail, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const next = 'a quieter mare and no battery';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const ask = ({ access_token: token }: Pick<Account, 'access_token'>, newEmail: string, secret = password) =>
  app.post('/me/email', { new_email: newEmail, current_password: secret }, token);
const verify = (token: string | undefined) => app.post('/verify-email', { token });
const undo = (token: string | undefined) => app.post('/undo-email-change', { token });
const emailOf = async ({ user }: Account) =>
  (await app.sql.query<{ email: string }>('SELECT email FROM users WHERE id = $1', [user.id])).rows[0]?.email;

/** An account whose first letter has been read. */
async function register(): Promise<Account> {
  const account = await app.register();
  await app.nextMail(account.email);
  return account;
}

/** A change that has taken effect, with the undo link that the old address got last. */
async function moved(account: Account, newEmail = freshEmail()) {
  expect((await ask(account, newEmail)).status).toBe(202);
  expect((await verify((await app.nextMail(newEmail)).token)).status).toBe(204);
  return newEmail;
}

test('it takes effect when the new address is confirmed; the old one is told before and after', async () => {
  const account = await register();
  const newEmail = freshEmail();
  expect((await ask(account, newEmail)).status).toBe(202);
  const [confirmation, notice] = [await app.nextMail(newEmail), await app.nextMail(account.email)];
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
  expect((await app.nextMail(account.email)).link).toContain('/undo-email-change?token=');
  const { rows } = await app.sql.query(
    `SELECT type FROM audit_events WHERE user_id = $1 AND type LIKE 'email.%' ORDER BY occurred_at`,
    [account.user.id],
  );
  expect(rows).toEqual([{ type: 'email.change_asked' }, { type: 'email.changed' }]);
});

test('it needs the password, a live session and another address', async () => {
  const account = await app.register();
  expect((await ask(account, freshEmail(), 'not the one')).status).toBe(401);
  expect((await app.post('/me/email', { new_email: freshEmail(), current_password: password })).status).toBe(401);
  expect((await ask(account, account.email.toUpperCase())).body).toMatchObject({
    status: 400,
    code: 'validation_failed',
  });
  expect((await ask(account, 'nobody')).status).toBe(400);
  await app.post('/logout/all', undefined, account.access_token);
  expect((await ask(account, freshEmail())).status).toBe(401);
  expect(await app.mails(account.email)).toHaveLength(1);
});

test('wrong passwords count for the lock-out', async () => {
  const strict = await startApp({ LOCKOUT_ATTEMPTS: '2' });
  const { access_token: token, email } = await strict.register();
  const guess = () => strict.post('/me/email', { new_email: freshEmail(), current_password: 'a guess' }, token);
  expect([(await guess()).status, (await guess()).status, (await guess()).status]).toEqual([401, 401, 423]);
  expect((await strict.login(email)).status).toBe(423);
  await strict.close();
});

test.each(['before', 'after'])(
  'undone %s it took effect, it ends every session and forces a new password',
  async (when) => {
    const account = await register();
    const newEmail = freshEmail();
    await ask(account, newEmail);
    const link = await app.nextMail(account.email);
    const confirmation = await app.nextMail(newEmail);
    if (when === 'after') await verify(confirmation.token);

    expect((await undo(link.token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
    expect((await app.refresh(account.refresh_token)).status).toBe(401);
    expect((await app.get('/me', account.access_token)).status).toBe(401);
    for (const email of [account.email, newEmail]) expect((await app.login(email)).status).toBe(401);
    expect((await verify(confirmation.token)).status).toBe(400);
    expect((await undo(link.token)).status).toBe(400);

    const { token } = await app.nextMail(account.email);
    expect((await app.post('/reset-password', { token, new_password: next })).status).toBe(204);
    expect((await app.login(account.email, next)).status).toBe(200);
  },
);

test('whoever moves an account twice leaves its owner the way back, and keeps none', async () => {
  const account = await register();
  const second = await moved(account);
  const ofOwner = await app.nextMail(account.email);
  await moved(account);
  const ofThief = await app.nextMail(second);
  expect((await undo(ofOwner.token)).status).toBe(204);
  expect(await emailOf(account)).toBe(account.email);
  expect((await undo(ofThief.token)).status).toBe(400);
  expect(await emailOf(account)).toBe(account.email);
});

test.each(['asked for', 'done'])(
  'a thief whose second move is %s cannot void the owner’s way back by undoing it',
  async (state) => {
    const account = await register();
    const second = await moved(account);
    const ofOwner = await app.nextMail(account.email);
    if (state === 'done') await moved(account);
    else await ask(account, freshEmail());
    expect((await undo((await app.nextMail(second)).token)).status).toBe(204);
    const toSetPassword = await app.nextMail(second);
    expect(await emailOf(account)).toBe(second);
    const taken = await app.post('/register', { email: account.email, password, display_name: 'Eve' });
    expect(taken.status).toBe(409);

    expect((await undo(ofOwner.token)).status).toBe(204);
    expect(await emailOf(account)).toBe(account.email);
    const body = { token: toSetPassword.token, new_password: next };
    expect((await app.post('/reset-password', body)).status).toBe(400);
    const { rows } = await app.sql.query('SELECT purpose, email FROM one_time_tokens WHERE user_id = $1', [
      account.user.id,
    ]);
    expect(rows).toEqual([{ purpose: 'password_reset', email: account.email }]);
  },
);

test('the time to undo begins when the change has happened', async () => {
  const account = await register();
  const newEmail = freshEmail();
  await ask(account, newEmail);
  const first = await app.nextMail(account.email);
  await app.sql.query(
    `UPDATE one_time_tokens SET created_at = created_at - interval '50 minutes', expires_at = expires_at - interval '50 minutes'
     WHERE user_id = $1`,
    [account.user.id],
  );
  await verify((await app.nextMail(newEmail)).token);
  const { rows } = await app.sql.query(
    `SELECT round(EXTRACT(EPOCH FROM expires_at - clock_timestamp()) / 3600)::int AS hours,
            round(EXTRACT(EPOCH FROM expires_at - created_at) / 3600)::int AS "hoursIfLate"
     FROM one_time_tokens WHERE user_id = $1 AND purpose = 'email_undo'`,
    [account.user.id],
  );
  expect(rows).toEqual([
    { hours: 72, hoursIfLate: 72 },
    { hours: 72, hoursIfLate: 72 },
  ]);
  expect((await undo(first.token)).status).toBe(204);
});

test('an address that can still be taken back is nobody else’s to register, nor to move to', async () => {
  const account = await register();
  await moved(account);
  const link = await app.nextMail(account.email);
  const taken = await app.post('/register', { email: account.email, password, display_name: 'Eve' });
  expect(taken.body).toMatchObject({ status: 409, code: 'email_taken' });
  const thief = await app.register();
  await ask(thief, account.email);
  expect((await app.nextMail(account.email)).link).toBeUndefined();
  expect((await undo(link.token)).status).toBe(204);
  expect(await emailOf(account)).toBe(account.email);
});

test('registrations that race a change of address never stand in the way of its undoing', async () => {
  for (let round = 0; round < 10; round += 1) {
    const account = await register();
    const newEmail = freshEmail();
    await ask(account, newEmail);
    const { token } = await app.nextMail(newEmail);
    const body = { email: account.email, password, display_name: 'Eve' };
    const [confirmed, ...registered] = await Promise.all([
      verify(token),
      ...[1, 2, 3].map(() => app.post('/register', body)),
    ]);
    expect(confirmed.status).toBe(204);
    expect(registered.map(({ status }) => status)).toEqual([409, 409, 409]);
    expect((await undo((await app.nextMail(account.email)).token)).status).toBe(204);
  }
});

test('the owner may move back by themselves', async () => {
  const account = await register();
  await moved(account);
  await moved(account, account.email);
  expect(await emailOf(account)).toBe(account.email);
});

test('an address that has an account cannot be taken, and the caller does not learn that it has', async () => {
  const [account, other] = [await register(), await register()];
  const [free, taken] = [await ask(account, freshEmail()), await ask(account, other.email)];
  expect([taken.status, taken.text]).toEqual([free.status, free.text]);
  const letter = await app.nextMail(other.email);
  expect(letter.link).toBeUndefined();
  expect(letter.text).not.toContain('Ada');
});

test('of two accounts that move to one address, one gets it', async () => {
  const accounts = [await register(), await register()];
  const wanted = freshEmail();
  const tokens: (string | undefined)[] = [];
  for (const account of accounts) {
    await ask(account, wanted);
    tokens.push((await app.nextMail(wanted)).token);
  }
  const statuses = (await Promise.all(tokens.map(verify))).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([204, 400]);
  const emails = await Promise.all(accounts.map(emailOf));
  expect(emails.filter((email) => email === wanted)).toHaveLength(1);
});

test('20 undo at once: one does', async () => {
  const account = await register();
  await moved(account);
  const { token } = await app.nextMail(account.email);
  const statuses = (await Promise.all(Array.from({ length: 20 }, () => undo(token)))).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([204, ...Array.from({ length: 19 }, () => 400)]);
});

test('a session writes to strangers ten times an hour at the most', async () => {
  const account = await register();
  const statuses: number[] = [];
  for (let asked = 0; asked < 11; asked += 1) statuses.push((await ask(account, freshEmail())).status);
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 202), 429]);
  expect((await ask(account, freshEmail())).headers).toMatchObject({ 'retry-after': '3600' });
});

test('a stranger is written to ten times an hour at the most, however many accounts ask, and no link is voided for it', async () => {
  const [stranger, owner] = [freshEmail(), await register()];
  await ask(owner, stranger);
  const { token } = await app.nextMail(stranger);
  const statuses: number[] = [];
  for (let accounts = 0; accounts < 2; accounts += 1) {
    const account = await register();
    for (let asked = 0; asked < 6; asked += 1) {
      statuses.push((await ask(account, stranger)).status);
      await app.mails();
    }
  }
  expect(statuses.filter((status) => status === 202)).toHaveLength(9);
  expect(await app.mails(stranger)).toHaveLength(10);
  expect(statuses.slice(-3)).toEqual([429, 429, 429]);
  expect((await verify(token)).status).toBe(204);
});

test('a deleted account leaves no link and no letter', async () => {
  const account = await register();
  await ask(account, freshEmail());
  await app.post('/me/delete', { current_password: password }, account.access_token);
  for (const table of ['mails', 'one_time_tokens', 'audit_personal_data', 'sessions'])
    expect((await app.sql.query(`SELECT 1 FROM ${table} WHERE user_id = $1`, [account.user.id])).rows).toEqual([]);
  expect(await app.mails(account.email)).toHaveLength(1);
});
