import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { loadConfig, type Mode } from '../../src/config.ts';

type Environment = Record<string, string | undefined>;

const required: Environment = {
  ISSUER: 'https://auth.example.com',
  DATABASE_URL: 'postgresql://keyturn@db.internal/keyturn',
  MASTER_KEYS: randomBytes(32).toString('base64url'),
  TRUST_PROXY: 'off',
  SMTP_URL: 'smtps://mail.internal',
  MAIL_FROM: 'keyturn@example.com',
};

/** Variables that the service reads; each can also come from a file. */
async function settingsRead(): Promise<string[]> {
  const names = new Set<string>();
  const environment = new Proxy(required, { get: (target, name: string) => (names.add(name), target[name]) });
  await loadConfig('production', {}, environment);
  return [...names].filter((name) => names.has(`${name}_FILE`));
}

const example = readFileSync('.env.example', 'utf8').split('\n');
const asSetting = (line: string) => /^# ([A-Z][A-Z0-9_]+)=(.*)$/.exec(line) ?? [];
const lines = example.flatMap((line, index) => {
  const [, name, value = ''] = asSetting(line);
  return name === undefined ? [] : [{ name, value, index }];
});

describe('.env.example', () => {
  test('lists exactly the known variables', async () => {
    const settings = await settingsRead();
    expect(settings.length).toBeGreaterThan(25);
    expect(lines.map(({ name }) => name).sort()).toEqual(settings.sort());
  });

  /** Generated at startup, or equal to another variable. */
  const withoutDefault = new Set([
    'DATABASE_URL',
    'MASTER_KEYS',
    'AUDIENCE',
    'DATABASE_DIRECT_URL',
    'HASH_CONCURRENCY',
    'PASSWORD_BLOCKLIST_FILE',
    'REDIS_URL',
    'CORS_ORIGINS',
    'CORS_ALLOWED_HEADERS',
    'HIBP_URL',
    'SMTP_URL',
    'APP_URL',
  ]);

  test.each(lines)('$name has its default', async ({ name, value }) => {
    expect(value === '').toBe(withoutDefault.has(name));
    const mode: Mode = ['ISSUER', 'TRUST_PROXY', 'MAIL_FROM'].includes(name) ? 'development' : 'production';
    const others = mode === 'development' ? { ...required, [name]: undefined } : required;
    const given = value === '' ? {} : { [name]: value };
    expect(await loadConfig(mode, {}, { ...others, ...given })).toEqual(await loadConfig(mode, {}, others));
  });

  test.each(lines)('$name has a comment', ({ index }) => {
    const above = example.slice(0, index).reverse();
    const [nearest = ''] = above.filter((line) => asSetting(line).length === 0);
    expect(nearest).toMatch(/^# \S.{20,}/);
  });
});

/** Output and exit code of a failed start. */
async function refusedStart(settings: Record<string, string>): Promise<{ code: number; lines: string[] }> {
  const env = { PATH: process.env['PATH'] ?? '', ...settings };
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'main'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, lines: output.trimEnd().split('\n') };
}

test('startup fails with one sentence if the password blocklist cannot be read', async () => {
  const { code, lines } = await refusedStart({
    ...(required as Record<string, string>),
    PASSWORD_BLOCKLIST_FILE: '/nowhere',
  });
  expect(code).toBe(1);
  expect(lines).toEqual([
    expect.stringMatching(/^Error: Cannot read the password blocklist \/nowhere \(PASSWORD_BLOCKLIST_FILE\)/),
  ]);
});

test('a service without configuration exits with 1 and names the required variables', async () => {
  const { code, lines } = await refusedStart({});
  expect(code).toBe(1);
  expect(lines).toEqual([
    'Error: The configuration is invalid:',
    '  - ISSUER is required in production',
    '  - DATABASE_URL is required in production',
    '  - MASTER_KEYS is required in production',
    '  - TRUST_PROXY is required in production',
    '  - SMTP_URL is required in production. Set EMAIL_VERIFICATION=off to run without email',
    '  - MAIL_FROM is required with SMTP_URL: the sender of the emails',
    'For development, run npm run dev, which needs no settings.',
  ]);
});
