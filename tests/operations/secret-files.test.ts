import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { loadDirectUrl } from '../../src/config/environment.ts';

const masterKey = randomBytes(32).toString('base64url');
const databaseUrl = 'postgresql://keyturn:hunter2@db.internal/keyturn';
const required = { ISSUER: 'https://auth.example.com', TRUST_PROXY: 'off', MAIL_FROM: 'keyturn@example.com' };
const smtpUrl = 'smtps://keyturn:hunter3@mail.internal';
const secrets = { DATABASE_URL: databaseUrl, MASTER_KEYS: masterKey, SMTP_URL: smtpUrl };

const load = (environment: Record<string, string | undefined> = {}) =>
  loadConfig('production', {}, { ...required, ...secrets, ...environment });

const fieldErrors = (environment: Record<string, string | undefined>): Promise<string[]> =>
  load(environment).then(
    () => [],
    ({ message }: Error) =>
      message
        .split('\n')
        .slice(1)
        .map((line) => line.replace(/^ {2}- /, '')),
  );

const folder = mkdtempSync(join(tmpdir(), 'keyturn-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fileWith = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('secrets from files', () => {
  test('are read without the trailing line break', async () => {
    const files = {
      MASTER_KEYS: undefined,
      DATABASE_URL: undefined,
      SMTP_URL: undefined,
      MASTER_KEYS_FILE: fileWith('key', `${masterKey}\n`),
      DATABASE_URL_FILE: fileWith('url', `${databaseUrl}\r\n`),
      SMTP_URL_FILE: fileWith('smtp', `${smtpUrl}\n`),
    };
    expect(await load(files)).toEqual(await load());
    expect(loadDirectUrl({ DATABASE_URL_FILE: fileWith('url', `${databaseUrl}\n`) })).toBe(databaseUrl);
  });

  test('a variable set twice and a missing file are errors that name the variable', async () => {
    const key = fileWith('key', masterKey);
    expect(await fieldErrors({ MASTER_KEYS_FILE: key })).toEqual([
      'MASTER_KEYS and MASTER_KEYS_FILE are both set; remove one of them',
    ]);
    const faults = await fieldErrors({ DATABASE_URL: undefined, DATABASE_URL_FILE: join(folder, 'absent') });
    expect(faults[0]).toBe('DATABASE_URL_FILE names a file that cannot be read');
  });

  test('an error does not print the content of the file', async () => {
    const faults = await fieldErrors({ MASTER_KEYS: undefined, MASTER_KEYS_FILE: fileWith('bad', 'hunter2-canary') });
    expect(faults).toEqual([expect.stringMatching(/^MASTER_KEYS must be /)]);
    expect(faults.join()).not.toContain('canary');
  });
});
