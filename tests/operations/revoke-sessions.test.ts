// npm run cli -- sessions revoke --all
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { runCli } from '../support/run-cli.ts';

jest.setTimeout(60_000);

let app: TestApp;
beforeAll(async () => void (app = await startApp()));
afterAll(() => app.close());

const run = (...args: string[]) => runCli({ DATABASE_URL: app.databaseUrl }, 'sessions', ...args);

test.each<[args: string[], message: string]>([
  [[], 'The command is missing.'],
  [['revoke'], '--all is missing.'],
  [['revoke', '--all', 'now'], "Unexpected argument 'now'."],
  [['revoke', '--all', '--all'], "Option '--all' is given more than once."],
  [['revoke', '--everyone'], "Unknown option '--everyone'."],
  [['revoke', 'all'], "Unexpected argument 'all'."],
  [['list'], "Unknown command 'list'."],
])('the arguments %j are refused and revoke nothing', async (args, message) => {
  const account = await app.register();
  const { code, stderr } = await run(...args);
  expect([code, stderr]).toEqual([2, expect.stringContaining('revoke --all')]);
  expect(stderr).toContain(`\n\n${message}\n`);
  expect((await app.refresh(account.refresh_token)).status).toBe(200);
});

test('revoke --all ends every session, also one whose spent token a restored backup made valid again', async () => {
  const [ada, eve] = [await app.register(), await app.register()];
  const backup = await app.db.sessions.snapshot(ada);
  const { body: next } = await app.refresh(ada.refresh_token);
  await app.db.sessions.restore(ada, backup);
  await app.db.sessions.insert(ada, 2100, 'batches', { expiresIn: 60, absolutelyExpiresIn: 60 });
  await app.db.sessions.insert(ada, 1, 'ended', { expiresIn: 60, absolutelyExpiresIn: 60, revokedAgo: 60 });

  const { code, stdout } = await run('revoke', '--all');
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/^Revoked 21\d\d sessions\. Every user has to log in again/),
  ]);
  for (const token of [ada.refresh_token, next.refresh_token, eve.refresh_token])
    expect((await app.refresh(token)).status).toBe(401);
  expect((await app.refresh(eve.refresh_token)).body).toMatchObject({ reason: 'revoked' });
  expect((await app.get('/me', eve.access_token)).status).toBe(401);
  const reasons = (await app.db.sessions.of(ada)).map(({ revokedReason }) => revokedReason);
  expect(new Set(reasons)).toEqual(new Set(['logout', 'revoked_by_operator']));
  expect(await app.db.audit.events({ type: 'sessions.revoked' })).toMatchObject([
    { outcome: 'success', reason: 'cli', actor_id: null, user_id: null },
  ]);
  expect((await app.login(ada.email)).status).toBe(200);
  expect((await run('revoke', '--all')).stdout).toMatch(/^Revoked 1 session\./);
});
