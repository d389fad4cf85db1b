// npm run cli -- users import: which lines of a file are imported or refused, and why.
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { foreignHashes } from './foreign-hashes.ts';
import { type ImportHarness, readReport, startImportHarness } from './import-harness.ts';

jest.setTimeout(60_000);

let harness: ImportHarness;
beforeAll(async () => {
  harness = await startImportHarness();
});
afterAll(() => harness.close());

const hash = foreignHashes.find((brought) => brought.hash.startsWith('$2b$'))?.hash ?? '';
const user = (members: object = {}) => ({ email: freshEmail(), display_name: 'Ada Lovelace', ...members });
const account = async (email: string) =>
  (
    await harness.rows(
      `SELECT u.*, (SELECT array_agg(role ORDER BY role) FROM user_roles WHERE user_id = u.id) AS roles
       FROM users AS u WHERE email = $1`,
      email,
    )
  )[0];

describe('an imported account', () => {
  test('has the normalized values of its line', async () => {
    await harness.app.sql.query(
      `INSERT INTO roles (name, description, scopes) VALUES ('editor', '', '{profile}') ON CONFLICT DO NOTHING`,
    );
    const email = freshEmail();
    const line = {
      email: ` ${email.toUpperCase()} `,
      display_name: '  Ada King, Countess of Lovelace ',
      email_verified: true,
      is_active: false,
      roles: ['user', 'editor', 'user'],
      password_hash: hash,
      created_at: '2019-05-06t07:08:09.123456+02:00',
    };
    expect(await harness.run(await harness.write(line))).toEqual({
      code: 0,
      stdout: '1 imported, 0 refused, of 1 lines.\n',
      stderr: '',
    });
    expect(await account(email)).toMatchObject({
      email,
      display_name: 'Ada King, Countess of Lovelace',
      email_verified: true,
      is_active: false,
      roles: ['editor', 'user'],
      password_hash: hash,
      created_at: new Date('2019-05-06T05:08:09.123Z'),
    });
  });

  test('has defaults for the optional members of its line', async () => {
    const line = user();
    await harness.run(await harness.write(line));
    const { created_at: createdAt, ...row } = (await account(line.email)) ?? {};
    expect(row).toMatchObject({ email_verified: false, is_active: true, roles: ['user'], password_hash: '!' });
    expect(Math.abs(Date.now() - Number(createdAt))).toBeLessThan(60_000);
  });

  test('has no password if its password_hash is empty, spaces or null', async () => {
    const lines = ['', ' '.repeat(60), null].map((passwordHash) => user({ password_hash: passwordHash }));
    expect(await harness.run(await harness.write(...lines))).toMatchObject({ code: 0 });
    for (const { email } of lines) {
      expect(await account(email)).toMatchObject({ password_hash: '!' });
      for (const tried of ['!', password]) expect((await harness.app.login(email, tried)).status).toBe(401);
    }
  });

  test('has one audit event without personal data', async () => {
    const line = user();
    await harness.run(await harness.write(line));
    const { id } = (await account(line.email)) ?? {};
    const events = await harness.rows('SELECT * FROM audit_events WHERE user_id = $1', id);
    expect(events).toMatchObject([{ type: 'account.imported', outcome: 'success', reason: 'cli', actor_id: null }]);
    expect(await harness.rows('SELECT FROM audit_personal_data WHERE user_id = $1', id)).toEqual([]);
  });
});

describe('a refused line', () => {
  const long = 'a'.repeat(70_000);
  const secret = 'a-secret-that-must-not-be-reported';
  const invalidLines: [string, object | string, RegExp[]][] = [
    ['not JSON', `{"email": "ada@example.com", "password_hash": ${secret}}`, [/^the line is not valid JSON$/]],
    ['not an object', '[1, 2]', [/^the line: .*expected object/]],
    ['null', 'null', [/^the line: .*expected object/]],
    ['a missing email address', { display_name: 'Ada' }, [/^email: /]],
    ['a missing name', { email: 'no.name@example.com' }, [/^display_name: /]],
    ['an invalid email address', user({ email: 'ada' }), [/^email: must be an ASCII email address/]],
    ['a non-ASCII email address', user({ email: 'adä@example.com' }), [/^email: must be an ASCII email address/]],
    [
      'an invisible name',
      user({ display_name: ' \u200b ' }),
      [/^display_name: must have at least one visible character/],
    ],
    [
      'an unpaired surrogate',
      '{"email":"x@example.com","display_name":"\\ud800"}',
      [/^display_name: must be valid Uni/],
    ],
    ['a text for a boolean', user({ email_verified: 'true' }), [/^email_verified: .*expected boolean/]],
    ['an unknown role', user({ roles: ['user', secret] }), [/^roles\.1: must be an existing role$/]],
    ['an empty list of roles', user({ roles: [] }), [/^roles: must contain at least one role$/]],
    ['a plaintext password', user({ password: secret }), [/^password: is unknown$/]],
    ['a __proto__ member', '{"email":"y@example.com","display_name":"Y","__proto__":{}}', [/^__proto__: is unknown$/]],
    ['a member name that Postgres cannot store', '{"\\u0000":1,"\\ud800":1}', [/^\ufffd: is unknown$/]],
    ['a long member name with a surrogate pair', { ['a'.repeat(63) + '😀']: 1 }, [/^a{63}\ufffd: is unknown$/]],
    [
      'an unknown hash',
      user({ password_hash: secret }),
      [/^password_hash: must be an Argon2, bcrypt, scrypt or PBKDF2 hash in a supported format/],
    ],
    ['an expensive hash', user({ password_hash: `$2b$16$${'.'.repeat(53)}` }), [/^password_hash: is too expensive/]],
    ['a date without a time', user({ created_at: '2020-02-03' }), [/^created_at: must be an RFC 3339 time from 1970/]],
    ['a future time', user({ created_at: '2190-01-01T00:00:00Z' }), [/^created_at: must be an RFC 3339 time/]],
    ['a time before 1970', user({ created_at: '1969-12-31T23:59:59Z' }), [/^created_at: must be an RFC 3339 time/]],
    ['infinity', user({ created_at: 'infinity' }), [/^created_at: must be an RFC 3339 time/]],
    ['a negative year', user({ created_at: '-000044-03-15T00:00:00Z' }), [/^created_at: must be an RFC 3339 time/]],
    [
      'the year 10000',
      user({ created_at: '9999-12-31T23:59:59-14:00' }),
      [/^created_at: must be an RFC 3339 time from 1970 until now/],
    ],
    ['the year 0', user({ created_at: '0000-01-01T00:00:00Z' }), [/^created_at: must be an RFC 3339 time/]],
    ['a long line', user({ display_name: long }), [/^the line is longer than 64 KiB$/]],
    [
      'several errors',
      { email: 'x', display_name: '', roles: [secret], password_hash: secret, is_active: 1, salt: secret },
      [/^email: /, /^display_name: /, /^roles\.0: /, /^password_hash: /, /^is_active: /, /^salt: is unknown$/],
    ],
  ];

  test('is reported with its number and all reasons, without its content, and all other lines are imported', async () => {
    const good = [user({ password_hash: hash }), user(), user()];
    const lines = [...invalidLines.map(([, line]) => line), ...good];
    const path = await harness.write(...lines);
    const { code, stdout, stderr } = await harness.run(path);
    const refused = invalidLines.length;
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    expect(stdout).toBe(
      `${good.length} imported, ${refused} refused, of ${lines.length} lines. ${path}.refused.ndjson lists the reasons.\n`,
    );
    const report = await harness.readRefusedLines(path);
    expect(report.map(({ line }) => line)).toEqual(invalidLines.map((_, index) => index + 1));
    for (const [index, [, , reasons]] of invalidLines.entries()) {
      const reported = report[index]?.reasons ?? [];
      for (const reason of reasons) expect(reported).toContainEqual(expect.stringMatching(reason));
    }
    expect(JSON.stringify(report)).not.toContain(secret);
    expect(JSON.stringify(await harness.rows('SELECT * FROM user_import_refusals'))).not.toContain(secret);
    for (const { email } of good) expect(await account(email)).toBeDefined();
    expect((await harness.app.login(good[0]?.email ?? '', 'Pässwort: correct horse')).status).toBe(200);
  });

  test('can have the email address of an account or of an earlier line, in any spelling', async () => {
    const existing = await harness.app.register();
    const first = user({ display_name: 'The first' });
    const path = await harness.write(
      first,
      user({ email: existing.email.toUpperCase() }),
      { ...first, email: first.email.toUpperCase(), display_name: 'The second' },
      user(),
    );
    expect((await harness.run(path)).code).toBe(3);
    const reasons = ['email: belongs to an existing account or to an earlier line'];
    expect(await harness.readRefusedLines(path)).toEqual([
      { line: 2, reasons },
      { line: 3, reasons },
    ]);
    expect(await account(first.email)).toMatchObject({ display_name: 'The first' });
    // The existing account is unchanged.
    expect((await harness.app.login(existing.email, password)).status).toBe(200);
  });
});

describe('a file', () => {
  test('can have a byte order mark, Windows line breaks, empty lines and no final line break', async () => {
    const [first, second, third] = [user(), user(), user({ email: 'no' })];
    const path = join(harness.folder, 'windows.ndjson');
    const text = [first, '', '   ', second, third].map((line) =>
      typeof line === 'string' ? line : JSON.stringify(line),
    );
    await writeFile(path, `\ufeff${text.join('\r\n')}`);
    expect(await harness.run(path)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^2 imported, 1 refused, of 5/),
    });
    expect(await harness.readRefusedLines(path)).toMatchObject([{ line: 5 }]);
    for (const { email } of [first, second]) expect(await account(email)).toBeDefined();
  });

  test('that is partly not UTF-8 loses only those lines', async () => {
    const good = user();
    const path = join(harness.folder, 'latin1.ndjson');
    const latin1 = Buffer.from(`${JSON.stringify(user({ display_name: 'Zoë' }))}\n`, 'latin1');
    await writeFile(path, Buffer.concat([latin1, Buffer.from(JSON.stringify(good))]));
    expect((await harness.run(path)).code).toBe(3);
    expect(await harness.readRefusedLines(path)).toEqual([{ line: 1, reasons: ['the line is not valid UTF-8'] }]);
    expect(await account(good.email)).toBeDefined();
  });

  test('with lines that span chunks is read completely, and a line of 10 MB is refused', async () => {
    const users = Array.from({ length: 40 }, (_, index) => user({ display_name: `${index} ${'é'.repeat(90)}` }));
    const padded = users.map((line) => JSON.stringify(line).padEnd(40_000, ' '));
    const path = await harness.write(...padded.slice(0, 20), 'x'.repeat(10_000_000), ...padded.slice(20));
    expect(await harness.run(path)).toMatchObject({ code: 3 });
    expect(await harness.readRefusedLines(path)).toEqual([{ line: 21, reasons: ['the line is longer than 64 KiB'] }]);
    const emails = users.map(({ email }) => email);
    expect(await harness.rows('SELECT FROM users WHERE email = ANY($1)', emails)).toHaveLength(40);
  });

  test('in UTF-16 is refused in one sentence, and nothing is imported', async () => {
    const one = user();
    const path = join(harness.folder, 'utf-16.ndjson');
    const line = `${JSON.stringify(one)}\n`;
    const utf16 = (text: string) => Buffer.from(text, 'utf16le');
    for (const bytes of [utf16(`\ufeff${line}`), utf16(line), utf16(`\ufeff${line}`).swap16(), utf16(line).swap16()]) {
      await writeFile(path, bytes);
      expect(await harness.run(path)).toEqual({
        code: 1,
        stdout: '',
        stderr: `Error: ${path} is UTF-16. Convert it to UTF-8, for example with: iconv -f UTF-16 -t UTF-8\n`,
      });
    }
    await writeFile(path, line);
    expect(await harness.run(path)).toMatchObject({ code: 0 });
  });

  test('without lines is imported', async () => {
    expect(await harness.run(await harness.write())).toEqual({
      code: 0,
      stdout: '0 imported, 0 refused, of 0 lines.\n',
      stderr: '',
    });
  });

  test('that is missing or not a regular file is reported in one sentence', async () => {
    const pipe = join(harness.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const path of [join(harness.folder, 'nowhere.ndjson'), harness.folder, pipe]) {
      const { code, stdout, stderr } = await harness.run(path);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^Error: (Cannot read [^\n]+: ENOENT\.|[^\n]+ is not a regular file\. [^\n]+)\n$/);
    }
  });
});

describe('the report', () => {
  test('is written to the path of --report, or to the standard output', async () => {
    const path = await harness.write('no', user());
    const elsewhere = join(harness.folder, 'elsewhere.ndjson');
    expect((await harness.run(path, '--report', elsewhere)).stdout).toContain(`${elsewhere} lists the reasons.`);
    const { code, stdout, stderr } = await harness.run('--report', '-', path);
    expect(readReport(stdout)).toEqual([{ line: 1, reasons: ['the line is not valid JSON'] }]);
    expect([code, stderr]).toEqual([3, '1 imported, 1 refused, of 2 lines.\n']);
  });

  test('that cannot be written is reported in one sentence, and the next run writes it', async () => {
    const path = await harness.write('no', user());
    const { code, stderr } = await harness.run(path, '--report', join(harness.folder, 'nowhere', 'report.ndjson'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: Cannot write the report [^\n]+: ENOENT\. The import is finished\. [^\n]+\n$/);
    expect(await harness.run(path)).toMatchObject({ code: 3 });
    expect(await harness.readRefusedLines(path)).toHaveLength(1);
  });
});

test('--help prints the usage, and invalid arguments print it and exit with 2', async () => {
  const help = await harness.run('--help');
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('\n  import FILE.ndjson ') });
  const messages: [args: string[], message: string][] = [
    [[], 'FILE.ndjson is missing.'],
    [['one', 'two'], "Unexpected argument 'two'."],
    [['--fly', 'one'], "Unknown option '--fly'."],
    [['one', '--report'], "Option '--report <value>' argument missing."],
    [['one', '--report', './one'], '--report would overwrite FILE.ndjson.'],
    [['one', '--report', 'a', '--report', 'b'], "Option '--report' is given more than once."],
    [['one', '--again=yes'], "Option '--again' does not take an argument."],
  ];
  for (const [args, message] of messages)
    expect(await harness.run(...args)).toEqual({ code: 2, stdout: '', stderr: `${help.stdout}\n${message}\n` });
});
