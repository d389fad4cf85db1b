import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  loadBlocklist,
  makePasswordPolicy,
  maxPasswordLength,
  type PasswordPolicy,
} from '../../src/core/users/password-policy.ts';
import { normalizePassword } from '../../src/platform/password-hashing/normalize-password.ts';
import { makeBreachLookup } from '../../src/platform/breached-passwords.ts';

const ada = { email: 'ada.lovelace+keys@example.com', displayName: 'Ada Lovelace' };
const account = { email: 'u7@example.org', displayName: 'Kim' };

const tooShort = [expect.stringContaining('too short')];
const tooLong = [expect.stringContaining('too long')];
const tooCommon = [expect.stringContaining('most commonly used')];
const likeEmail = expect.stringContaining('your email address');
const likeName = expect.stringContaining('your name');
const likeService = expect.stringContaining('name of this service');

let blocklist: ReadonlySet<string>;
let policy: PasswordPolicy;

beforeAll(async () => {
  blocklist = await loadBlocklist();
  policy = makePasswordPolicy({ minLength: 8, blocklist });
});

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

describe('normalizing', () => {
  test('makes composed and decomposed forms of one password equal', () => {
    expect(normalizePassword('cafe\u0301 au lait')).toBe(normalizePassword('caf\u00e9 au lait'));
  });

  test('keeps the ligature ﬁ apart from the letters fi', () => {
    expect(normalizePassword('ﬁnance ministry')).not.toBe(normalizePassword('finance ministry'));
  });

  test('does not trim, fold case or cut', () => {
    const password = ` Mixed CASE \t${'x'.repeat(500)}y `;
    expect(normalizePassword(password)).toBe(password);
  });
});

describe('length', () => {
  test('counts an emoji as one character', async () => {
    expect(await policy.check('🦊🐙🦉🐢🦋🐌🦔', account)).toEqual(tooShort);
    expect(await policy.check('🦊🐙🦉🐢🦋🐌🦔🐝', account)).toEqual([]);
  });

  test('is counted after normalizing', async () => {
    const sevenLetters = 'e\u0301'.repeat(6) + 'x';
    expect(await policy.check(sevenLetters, account)).toEqual(tooShort);
    expect(await policy.check(`${sevenLetters}y`, account)).toEqual([]);
  });

  test('is accepted up to 128 and refused from 129', async () => {
    const longest = 'vm7 '.repeat(32);
    expect(longest).toHaveLength(maxPasswordLength);
    expect(await policy.check(longest, account)).toEqual([]);
    expect(await policy.check(`${longest}x`, account)).toEqual(tooLong);
    expect(await policy.check('🦊'.repeat(128), account)).toEqual([]);
    expect(await policy.check('🦊'.repeat(129), account)).toEqual(tooLong);
  });

  test('follows the configured minimum and names it', async () => {
    const strict = makePasswordPolicy({ minLength: 15, blocklist });
    expect(await strict.check('fourteen chars', account)).toEqual([expect.stringContaining('at least 15 characters')]);
    expect(await strict.check('fifteen chars !', account)).toEqual([]);
  });
});

describe('composition', () => {
  test.each([
    'correct horse battery staple',
    'thistle over gravel',
    'ПРОСТО ДОЛГАЯ ФРАЗА',
    '83920174650192837465',
    '        x',
  ])('does not matter: %j is accepted', async (password) => {
    expect(await policy.check(password, account)).toEqual([]);
  });
});

describe('the built-in list', () => {
  test('contains every one of the top 10,000 passwords that has the minimum length', async () => {
    const top = await topPasswords();
    expect(top).toHaveLength(10_000);
    expect(top.filter((password) => password.length >= 8).length).toBeGreaterThan(3_000);
    expect(top.filter((password) => password.length >= 8 && !blocklist.has(password.toLowerCase()))).toEqual([]);
  });

  test('rejects all of the top 10,000, in any case', async () => {
    const accepted: string[] = [];
    for (const password of await topPasswords()) {
      for (const variant of [password, password.toUpperCase()]) {
        if ((await policy.check(variant, account)).length === 0) accepted.push(variant);
      }
    }
    expect(accepted).toEqual([]);
  });

  test.each(
    [
      'Passw0rd! passw0rd! PASSW0RD! pAsSw0rD! P@ssw0rd P@ssw0rd! P@ssw0rd1 Password1!',
      'Password123! Welcome1 Welcome1! Welcome@123 Qwerty123! Admin@123 Changeme1! Summer2026',
      'Winter2025! Letmein123 iloveyou trustno1 12345678 1234567890 qwertyuiop 1q2w3e4r5t',
      '11111111 baseball1 #1stunna йцукенгшщз CONTRASEN\u0303A',
    ].flatMap((row) => row.split(' ')),
  )('rejects %s', async (password) => {
    expect(await policy.check(password, account)).toEqual(tooCommon);
  });

  test.each(['Passw0rd!x7', 'xPassw0rd!', 'P a s s w 0 r d !', 'qwertyuiop thistle', 'trustno1 gravel', 'Ⓟassw0rd!'])(
    'accepts %j, which only resembles a common password',
    async (password) => {
      expect(await policy.check(password, account)).toEqual([]);
    },
  );

  test('is lower case, NFC, sorted and without duplicates or passwords that are too short', async () => {
    const text = await readFile(new URL('../../data/common-passwords.txt', import.meta.url), 'utf8');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('# ') && line !== '#');
    expect(lines.filter((line) => line !== line.normalize('NFC').toLowerCase() || line !== line.trim())).toEqual([]);
    expect(lines.filter((line) => Array.from(line).length < 8)).toEqual([]);
    expect(lines).toEqual([...new Set(lines)].sort());
    expect(blocklist.size).toBe(lines.length);
    expect(Buffer.byteLength(text)).toBeLessThan(400_000);
  });
});

describe('the policy for names', () => {
  test.each([
    'ada.lovelace+keys@example.com',
    'ADA.LOVELACE+KEYS@EXAMPLE.COM',
    'ada-lovelace-keys',
    'AdaLovelaceKeys99',
  ])('rejects the email address as %s', async (password) => {
    expect(await policy.check(password, ada)).toEqual([likeEmail]);
  });

  test.each([
    'Ada Lovelace',
    'adalovelace1!',
    '1adalovelace99',
    'ADA_LOVELACE!!',
    'ａｄａｌｏｖｅｌａｃｅ',
    'ada lovelace ada lovelace',
  ])('rejects the display name as %s', async (password) => {
    expect(await policy.check(password, { ...account, displayName: 'Ada Lovelace' })).toEqual([likeName]);
  });

  test.each(['keyturn1', 'Keyturn!', 'KeyTurn 26', 'key-turn', 'keyturnkeyturn'])(
    'rejects the name of the service as %s',
    async (password) => {
      expect(await policy.check(password, account)).toEqual([likeService]);
    },
  );

  test('rejects the email address without its tag or domain', async () => {
    const context = { email: 'grace.hopper+news@example.com', displayName: 'Kim' };
    expect(await policy.check('GraceHopper42', context)).toEqual([likeEmail]);
    expect(await policy.check('gracehoppernews', context)).toEqual([likeEmail]);
  });

  test('accepts a longer password that contains the name', async () => {
    expect(await policy.check('adalovelace1815', ada)).toEqual([]);
    expect(await policy.check('keyturn of the lock', ada)).toEqual([]);
  });

  test('ignores names with fewer than four characters', async () => {
    expect(await policy.check('kim!kim!kim!', account)).toEqual([]);
    expect(await policy.check('%^&*( u7 $#@', account)).toEqual([]);
  });

  test('rejects a name in a script without case', async () => {
    const context = { email: 'u7@example.org', displayName: 'भारत कुमारी' };
    expect(await policy.check('भारतकुमारी12', context)).toEqual([likeName]);
  });

  test('ignores names that consist of symbols', async () => {
    expect(await policy.check('thistle over gravel', { email: '++++@example.org', displayName: '★★★★' })).toEqual([]);
  });
});

test('reports every violation and never repeats the password', async () => {
  const own = makePasswordPolicy({ minLength: 15, blocklist: new Set(['adalovelace1']) });
  const violations = await own.check('AdaLovelace1', ada);
  expect(violations).toEqual([...tooShort, ...tooCommon, likeEmail, likeName]);
  expect(violations.join(' ').toLowerCase()).not.toContain('adalovelace1');
});

describe("the operator's blocklist", () => {
  test('extends the built-in list, in any case and normal form, without its comments', async () => {
    const file = await temporaryFile('\uFEFF# House words\r\n#\r\n\r\nAcme-Rockets\r\n#hashtag1\ncafe\u0301-society\n');
    const own = makePasswordPolicy({ minLength: 8, blocklist: await loadBlocklist(file) });
    for (const password of ['acme-rockets', 'ACME-ROCKETS', '#HashTag1', 'Caf\u00e9-Society', 'Passw0rd!']) {
      expect(await own.check(password, account)).toEqual(tooCommon);
    }
    expect(await own.check('# House words', account)).toEqual([]);
  });

  test('prevents the start if it is missing, and names the file and the variable', async () => {
    const sentence = /^Cannot read the password blocklist \/nowhere\/words\.txt \(PASSWORD_BLOCKLIST_FILE\): .*ENOENT/;
    await expect(loadBlocklist('/nowhere/words.txt')).rejects.toThrow(sentence);
  });

  test('prevents the start if it is a directory or not text', async () => {
    await expect(loadBlocklist(tmpdir())).rejects.toThrow('Cannot read the password blocklist');
    await expect(loadBlocklist(await temporaryFile(Buffer.from([0x61, 0xff, 0xfe, 0x0a])))).rejects.toThrow(
      'Cannot read the password blocklist',
    );
  });
});

describe('the breach lookup', () => {
  const leaked = 'thistle over gravel';
  const [prefix, suffix] = sha1Halves(leaked);
  const other = '0'.repeat(35);

  test('rejects a leaked password and sends only five digits of its hash', async () => {
    const requests: unknown[] = [];
    const url = await serve((request, response) => {
      requests.push([request.method, request.url, request.headers['add-padding']]);
      response.end(`${other}:3\r\n${suffix}:42\r\n`);
    });
    const { breached, failures } = lookup(`${url}/range/`);
    const checked = makePasswordPolicy({ minLength: 8, blocklist, breached });
    expect(await checked.check(leaked, account)).toEqual([expect.stringContaining('data breach')]);
    expect(requests).toEqual([['GET', `/range/${prefix}`, 'true']]);
    expect(failures).toEqual([]);
  });

  test('looks up the normalized password', async () => {
    const [, ofComposed] = sha1Halves('caf\u00e9 au lait');
    const { breached } = lookup(await serve((_, response) => response.end(`${ofComposed}:1`)));
    const checked = makePasswordPolicy({ minLength: 8, blocklist, breached });
    expect(await checked.check('cafe\u0301 au lait', account)).toEqual([expect.stringContaining('data breach')]);
  });

  test('ignores padding lines', async () => {
    const { breached, failures } = lookup(await serve((_, response) => response.end(`${other}:3\r\n${suffix}:0`)));
    expect(await breached(leaked)).toBe(false);
    expect(failures).toEqual([]);
  });

  test('accepts a password that was not leaked', async () => {
    const { breached, failures } = lookup(await serve((_, response) => response.end(`${other}:3`)));
    expect(await breached(leaked)).toBe(false);
    expect(failures).toEqual([]);
  });

  test('is skipped for a password that is rejected anyway', async () => {
    let requestCount = 0;
    const breached = async (): Promise<boolean> => {
      requestCount += 1;
      return true;
    };
    const checked = makePasswordPolicy({ minLength: 8, blocklist, breached });
    expect(await checked.check('Passw0rd!', account)).toEqual(tooCommon);
    expect(requestCount).toBe(0);
  });

  test.each<[string, RequestListener]>([
    ['responds with an error', (_, response) => response.writeHead(503).end(`${suffix}:42`)],
    ['responds with a web page', (_, response) => response.end('<html>Please sign in to the network</html>')],
    ['hangs up', (request) => request.socket.destroy()],
    ['is slow to begin', () => undefined],
    ['is slow to finish', (_, response) => response.write(`${other}:3\r\n`)],
  ])('accepts the password and logs a warning if the service %s', async (_, listener) => {
    const { breached, failures } = lookup(await serve(listener));
    expect(await breached(leaked)).toBe(false);
    expect(failures).toHaveLength(1);
  });

  test('accepts the password and logs a warning if the service is down', async () => {
    const url = await serve(() => undefined);
    for (const cleanup of cleanups.splice(0)) await cleanup();
    const { breached, failures } = lookup(url);
    expect(await breached(leaked)).toBe(false);
    expect(failures).toHaveLength(1);
  });
});

async function topPasswords(): Promise<string[]> {
  const text = await readFile(new URL('top-10000-passwords.txt', import.meta.url), 'utf8');
  return text.trimEnd().split('\n');
}

function sha1Halves(password: string): [string, string] {
  const digest = createHash('sha1').update(password).digest('hex').toUpperCase();
  return [digest.slice(0, 5), digest.slice(5)];
}

function lookup(url: string): { breached: (password: string) => Promise<boolean>; failures: unknown[] } {
  const failures: unknown[] = [];
  return { breached: makeBreachLookup(url, { warn: (fault: unknown) => failures.push(fault) }, 250), failures };
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return `http://127.0.0.1:${address.port}`;
}

async function temporaryFile(content: string | Buffer): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  cleanups.push(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'words.txt');
  await writeFile(file, content);
  return file;
}
