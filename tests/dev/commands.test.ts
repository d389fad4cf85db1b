// Commands beside `npm run dev`. The system test of this folder runs them beside a real one.
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { runCliIn } from '../support/run-cli.ts';

const masterKeys = randomBytes(32).toString('base64url');
let app: TestApp;
beforeAll(async () => void (app = await startApp({ MASTER_KEYS: masterKeys })));
afterAll(() => app.close());

let folder = '';
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'keyturn-commands-'))));
afterEach(() => rm(folder, { recursive: true }));

const instanceFile = () => join(folder, '.data', 'instance.json');

interface Published {
  issuer?: string;
  /** Added to the settings. */
  environment?: Record<string, string>;
}

/** Writes what a development instance with this process id writes. */
async function publish(pid: number, { issuer = app.config.issuer, environment: added }: Published = {}): Promise<void> {
  await mkdir(join(folder, '.data'), { recursive: true });
  const environment = {
    DATABASE_URL: app.databaseUrl,
    DATABASE_DIRECT_URL: app.databaseUrl,
    MASTER_KEYS: masterKeys,
    APP_URL: app.config.issuer,
    ...added,
  };
  await writeFile(instanceFile(), JSON.stringify({ pid, issuer, environment }), { mode: 0o600 });
}

const run = (env: Record<string, string>, ...args: string[]) => runCliIn(folder, env, ...args);

/** The id of a process that has ended. */
const endedPid = () => spawnSync('true').pid;

describe('beside a running development instance, without settings', () => {
  beforeEach(() => publish(process.pid));

  test('create-admin prints a link that makes an administrator of that instance', async () => {
    const email = freshEmail();
    const { code, stdout, stderr } = await run({ PATH: '/usr/bin' }, 'users', 'create-admin', email);
    expect([code, stderr]).toEqual([0, `Using the development instance at ${app.config.issuer}.\n`]);
    const [, token] = /\/reset-password\?token=(kto_[\w-]+)$/m.exec(stdout) ?? [];
    expect((await app.post('/reset-password', { token, new_password: password })).status).toBe(204);
    expect((await app.login(email)).status).toBe(200);
  });

  test.each([
    ['migrate', /^nothing to apply/],
    ['keys list', /^KID/],
    ['keys rewrap', /^Every signing key is already encrypted/],
    ['emails list', /^(ID|No emails)/],
    ['sessions revoke --all', /^Revoked/],
    ['audit export --until 2020-01-01T00:00:00Z', /^$/],
  ])('%s works', async (command, output) => {
    const { code, stdout } = await run({}, ...command.split(' '));
    expect([code, stdout]).toEqual([0, expect.stringMatching(output)]);
  });

  test.each([
    'DATABASE_URL',
    'DATABASE_DIRECT_URL',
    'MASTER_KEYS',
    'ISSUER',
    'APP_URL',
    'TRUST_PROXY',
    'SMTP_URL_FILE',
  ])('a command does not look at it if %s is set', async (name) => {
    const { code, stdout, stderr } = await run({ [name]: '/nowhere' }, 'users', 'create-admin', freshEmail());
    expect([code, stdout]).toEqual([1, '']);
    const setting = name.replace('_FILE', '');
    expect(stderr).toContain(`Commands use the settings of npm run dev only if none is set, and ${setting} is set.`);
  });

  test('an empty setting counts as missing', async () => {
    expect((await run({ DATABASE_URL: '' }, 'keys', 'list')).code).toBe(0);
  });
});

const advice =
  'Set them or, for development, run npm run dev in another terminal: commands in the same folder then need no settings.';

describe.each([
  ['none was started', async () => {}],
  ['it has crashed', () => publish(endedPid())],
  [
    'its file is damaged',
    async () => {
      await publish(process.pid);
      await writeFile(instanceFile(), '{"pid":');
    },
  ],
  ['its file sets something else', () => publish(process.pid, { environment: { PATH: '/evil' } })],
  ['its file names no web address', () => publish(process.pid, { issuer: 'file:///etc/passwd' })],
  ['its file controls the terminal', () => publish(process.pid, { issuer: 'http://localhost:3000/\u001b]0;x\u0007' })],
])('without a running development instance: %s', (_state, arrange) => {
  beforeEach(arrange);

  test('create-admin names every missing setting and the command that starts one', async () => {
    const { code, stdout, stderr } = await run({}, 'users', 'create-admin', 'ada@example.com');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.split('\n')).toEqual([
      'Error: The configuration is invalid:',
      '  - DATABASE_URL is required',
      '  - MASTER_KEYS is required',
      '  - ISSUER or APP_URL is required',
      advice,
      '',
    ]);
  });

  test.each(['migrate', 'keys list', 'emails list', 'audit export', 'sessions revoke --all'])(
    '%s names the setting and the command',
    async (command) => {
      const { code, stderr } = await run({}, ...command.split(' '));
      const lines = ['Error: The configuration is invalid:', '  - DATABASE_URL is required', advice, ''];
      expect([code, stderr.split('\n')]).toEqual([1, lines]);
    },
  );
});

test.each<[string, () => Promise<unknown>]>([
  ['is a folder', () => mkdir(instanceFile(), { recursive: true })],
  [
    'others can change',
    async () => {
      await publish(process.pid);
      await chmod(instanceFile(), 0o620);
    },
  ],
  [
    'is a link',
    async () => {
      await publish(process.pid);
      await rename(instanceFile(), join(folder, 'elsewhere.json'));
      await symlink('../elsewhere.json', instanceFile());
    },
  ],
])(
  'a command does not trust settings of an instance in something that %s, and says what it needs',
  async (_what, arrange) => {
    await arrange();
    const { code, stdout, stderr } = await run({}, 'keys', 'list');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Error: The settings of the development instance, .+ with mode 600\.\n$/);
  },
);

test('create-admin names every invalid setting in one message', async () => {
  const env = { DATABASE_URL: 'mysql://x', MASTER_KEYS: 'short', APP_URL: 'ftp://x' };
  const { stderr } = await run(env, 'users', 'create-admin', 'ada@example.com');
  for (const name of Object.keys(env)) expect(stderr).toContain(`  - ${name} must be`);
});
