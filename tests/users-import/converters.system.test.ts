// examples/migrate: what the converters write, skip and report. No database is needed.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parseHash } from '../../src/platform/password-hashing/hash-formats.ts';

jest.setTimeout(120_000);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'keyturn-converters-'));
});
afterAll(() => rm(root, { recursive: true }));

type Content = string | Buffer | object;

interface Conversion {
  code: number;
  stdout: string;
  stderr: string;
  /** Undefined if the converter wrote no file. */
  users: Record<string, unknown>[] | undefined;
  skipped: Record<string, unknown>[] | undefined;
  /** The names of the files that the converter wrote. */
  created: string[];
  folder: string;
}

const asBytes = (content: Content): string | Buffer =>
  typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);

const readLines = async (path: string): Promise<Record<string, unknown>[] | undefined> => {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text
    ?.split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

/** Runs `node examples/migrate/<script>` in a folder. */
async function runIn(folder: string, script: string, args: string[], options: string[] = []): Promise<Conversion> {
  const before = await readdir(folder);
  const path = resolve('examples/migrate', script);
  const [code, stdout, stderr] = await new Promise<[number, string, string]>((done) => {
    execFile(process.execPath, [...options, path, ...args], { cwd: folder }, (error, out, err) => {
      done([error ? Number(error.code) : 0, out, err]);
    });
  });
  const created = (await readdir(folder)).filter((name) => !before.includes(name));
  const [users, skipped] = await Promise.all(
    ['users.ndjson', 'users.ndjson.skipped.ndjson'].map((name) => readLines(join(folder, name))),
  );
  return { code, stdout, stderr, users, skipped, created, folder };
}

/** Runs a converter on these files, in this order. */
async function convert(script: string, files: Record<string, Content>): Promise<Conversion> {
  const folder = await mkdtemp(join(root, 'run-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), asBytes(content));
  return runIn(folder, script, [...Object.keys(files), '--output', 'users.ndjson']);
}

/** Expects that the conversion failed with one sentence and wrote no files. */
const failure = (sentence: string | RegExp) => ({
  code: 1,
  stdout: '',
  stderr: typeof sentence === 'string' ? `${sentence}\n` : expect.stringMatching(sentence),
  created: [],
});

const emails = ({ users }: Conversion) => users?.map(({ email }) => email);

const django = (fields: object = {}) => ({ model: 'auth.user', pk: 1, fields: { email: 'ada@x.example', ...fields } });
const djangoFile = (...rows: object[]) => convert('django.js', { 'users.json': rows });

const hash = '$2b$10$vuAkiDv5GVsOCXnWVt453.g9.XA5z7bKoDrJemOgu6H9Ix5dKtQCu';
const secret = 'c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtcmVwb3J0ZWQ=';

describe('Firebase', () => {
  const config = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
`;
  const salted = {
    passwordHash: 'lSrfV15cpx95_sZS2W9c9Kp6i_LVgQNDNC_qzrCnh1SAyZvqmZqAjTdn3aoItz-VHjoZilo78198JAdRuid5lQ==',
    salt: '42xEC-ixf3L2lw==',
  };
  const firebase = (...users: unknown[]) =>
    convert('firebase.js', { 'users.json': { users }, 'hash-config.txt': config });

  test('a Firebase hash without a salt skips only its record', async () => {
    const run = await firebase(
      { email: 'first@x.example', ...salted },
      { email: 'absent@x.example', passwordHash: secret },
      { email: 'empty@x.example', passwordHash: secret, salt: '' },
      { email: 'null@x.example', passwordHash: secret, salt: null },
      { email: 'number@x.example', passwordHash: secret, salt: 7 },
      { email: 'last@x.example', ...salted },
    );
    expect(run).toMatchObject({
      code: 3,
      stdout: '2 converted, 4 skipped. See users.ndjson.skipped.ndjson.\n',
      created: ['users.ndjson', 'users.ndjson.skipped.ndjson'],
    });
    expect(emails(run)).toEqual(['first@x.example', 'last@x.example']);
    const missing = ['salt: is missing, but the record has a passwordHash'];
    expect(run.skipped).toEqual([
      { file: 'users.json', record: 2, reasons: missing },
      { file: 'users.json', record: 3, reasons: missing },
      { file: 'users.json', record: 4, reasons: missing },
      { file: 'users.json', record: 5, reasons: [expect.stringMatching(/^salt: .*expected string/)] },
    ]);
    expect(run.stderr.split('\n')).toHaveLength(5);
    expect(run.stderr).toContain('users.json, record 2: salt: is missing, but the record has a passwordHash\n');
    expect(run.stderr + JSON.stringify(run.skipped)).not.toContain(secret);
  });

  test('a Firebase user without a hash, or with an empty one, becomes an account without a password', async () => {
    const { code, users } = await firebase({ salt: 'AAAA' }, { passwordHash: '', salt: 'AAAA' }, {});
    expect(code).toBe(0);
    expect(users?.map((user) => user['password_hash'])).toEqual([undefined, undefined, undefined]);
  });

  test('a Firebase record that is not an object, or has an invalid time, is skipped', async () => {
    const run = await firebase(null, 7, 'text', [], { createdAt: 'now' }, { createdAt: '9'.repeat(30) }, salted);
    expect(run).toMatchObject({ code: 3, stdout: expect.stringMatching(/^1 converted, 6 skipped/) });
    expect(run.skipped?.map(({ record }) => record)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const index of [4, 5]) expect(run.skipped?.[index]).toMatchObject({ reasons: ['createdAt: is not a time'] });
  });

  test('an incomplete hash-config.txt fails with the name of the parameter', async () => {
    for (const [text, member] of [
      [config.replace('mem_cost: 14,', ''), 'mem_cost'],
      [config.replace('SCRYPT', 'BCRYPT'), 'algorithm'],
      ['', 'algorithm'],
    ] as const) {
      const run = await convert('firebase.js', { 'users.json': { users: [salted] }, 'hash-config.txt': text });
      expect(run).toMatchObject(failure(`hash-config.txt: "${member}" is missing or invalid.`));
    }
  });

  test('hash-config.txt can be UTF-16 and have an empty separator', async () => {
    const text = config.replace('Bw==', '');
    const run = await convert('firebase.js', {
      'users.json': { users: [salted] },
      'hash-config.txt': Buffer.from(`\ufeff${text}`, 'utf16le'),
    });
    expect(run.code).toBe(0);
    expect(parseHash(String(run.users?.[0]?.['password_hash']))?.stored).toContain(',ss=,sk=jxspr8Ki');
  });

  test('only top-level arrays named users are converted', async () => {
    const text = '{"a":{"users":[{"email":"no"}]},"users":[{"email":"one"}],"users.x":[{}],"users":[{"email":"two"}]}';
    const run = await convert('firebase.js', { 'users.json': text, 'hash-config.txt': config });
    expect([run.code, emails(run)]).toEqual([0, ['one', 'two']]);
  });

  test('an export without the array users fails', async () => {
    for (const text of ['{"realm":"shop"}', '{"users":{"0":{}}}', '{"users":null}', '{}']) {
      const run = await convert('firebase.js', { 'users.json': text, 'hash-config.txt': config });
      expect(run).toMatchObject(failure('users.json does not contain the array "users".'));
    }
    const run = await convert('firebase.js', { 'users.json': '[{}]', 'hash-config.txt': config });
    expect(run).toMatchObject(failure('users.json does not contain an object with "users".'));
  });
});

describe('Keycloak', () => {
  const keycloak = (...users: object[]) => convert('keycloak.js', { 'users-0.json': { realm: 'shop', users } });
  const old = (members: object) => ({
    type: 'password',
    hashedSaltedValue: 'YMoJR6RDFPTNed7LIE1ObP0ZqhaekqmGa1pcIhBzh7Md+Uc+/QKVs9AZ+TraU1t30BY8uRNGQbiUc73SiwybDQ==',
    salt: 'BwISnUi+uxYBJx704j/6IA==',
    hashIterations: 27_500,
    algorithm: 'pbkdf2-sha256',
    ...members,
  });
  const current = (data: object, secretData: object = { value: 'AAAAAAAAAAAAAAAAAAAAAA==', salt: 'AAAA' }) => ({
    type: 'password',
    credentialData: JSON.stringify({ algorithm: 'pbkdf2-sha256', hashIterations: 1, ...data }),
    secretData: JSON.stringify(secretData),
  });
  const withCredential = (credential: unknown) => ({ email: 'a@x.example', enabled: true, credentials: [credential] });

  test('the older form of a Keycloak credential is converted', async () => {
    const members = [
      {},
      { algorithm: 'HmacSHA1' },
      { algorithm: undefined },
      { algorithm: null, credentialData: null },
    ];
    const run = await keycloak(...members.map((member) => withCredential(old(member))));
    expect(run).toMatchObject({ code: 0, skipped: undefined });
    const rest =
      '$i=27500$BwISnUi+uxYBJx704j/6IA$YMoJR6RDFPTNed7LIE1ObP0ZqhaekqmGa1pcIhBzh7Md+Uc+/QKVs9AZ+TraU1t30BY8uRNGQbiUc73SiwybDQ';
    expect(run.users?.map((user) => user['password_hash'])).toEqual(
      ['sha256', 'sha1', 'sha1', 'sha1'].map((digest) => `$pbkdf2-${digest}${rest}`),
    );
    const known = parseHash(String(run.users?.[0]?.['password_hash']));
    expect(await known?.matches('Pässwort: correct horse')).toBe(true);
  });

  test('a Keycloak credential that cannot be converted skips only its record', async () => {
    const unsupported = 'is missing or not supported';
    const faulty: [unknown, string | RegExp][] = [
      [old({ algorithm: secret }), `algorithm: ${unsupported}`],
      [old({ algorithm: 'constructor' }), `algorithm: ${unsupported}`],
      [old({ salt: undefined, hashedSaltedValue: secret }), 'salt: is missing'],
      [old({ salt: '', hashedSaltedValue: secret }), 'salt: is missing'],
      [old({ hashIterations: null }), /^hashIterations: /],
      [old({ hashIterations: '27500' }), /^hashIterations: /],
      [{ type: 'password', value: secret }, 'hashedSaltedValue: is missing'],
      [{ type: 'password' }, 'hashedSaltedValue: is missing'],
      [current({ algorithm: 'bcrypt', hashIterations: -1 }), `credentialData.algorithm: ${unsupported}`],
      [current({ algorithm: undefined }), `credentialData.algorithm: ${unsupported}`],
      [current({}, { value: secret }), 'secretData.salt: is missing'],
      [current({}, { value: secret, salt: null }), 'secretData.salt: is missing'],
      [current({}, { salt: secret }), 'secretData.value: is missing'],
      [{ ...current({}), secretData: `{"value": ${secret}` }, 'secretData: is not valid JSON'],
      [{ ...current({}), secretData: 'null' }, /^secretData: /],
      [{ ...current({}), secretData: undefined }, /^secretData: /],
      [current({ algorithm: 'argon2' }), /^additionalParameters: /],
      [current({ algorithm: 'argon2', additionalParameters: { type: ['id', secret] } }), /^additionalParameters\.type/],
      [
        current({ algorithm: 'argon2', additionalParameters: { type: ['id'], memory: [secret] } }),
        /^additionalParameters\.memory\.0: /,
      ],
      ['password', /^credentials\.0: /],
    ];
    const run = await keycloak(...faulty.map(([credential]) => withCredential(credential)), withCredential(old({})));
    expect(run).toMatchObject({ code: 3, stdout: expect.stringMatching(`^1 converted, ${faulty.length} skipped`) });
    expect(run.skipped?.map(({ record }) => record)).toEqual(faulty.map((_, index) => index + 1));
    for (const [index, [, reason]] of faulty.entries()) {
      expect(run.skipped?.[index]?.['reasons']).toContainEqual(expect.stringMatching(reason));
    }
    expect(run.stderr + JSON.stringify(run.skipped)).not.toContain(secret);
  });

  test('a Keycloak user without a password credential becomes an account without a password', async () => {
    const credentials = [[], null, undefined, [{ type: 'otp', secretData: secret }], [{}]];
    const run = await keycloak(...credentials.map((list) => ({ email: 'a@x.example', credentials: list })));
    expect(run.code).toBe(0);
    expect(run.users?.map((user) => user['password_hash'])).toEqual(credentials.map(() => undefined));
  });

  test('several Keycloak files are converted into one output, and the report names the file', async () => {
    const run = await convert('keycloak.js', {
      'users-0.json': { users: [{ email: 'one' }] },
      'users-1.json': { users: [withCredential(old({ salt: null })), { email: 'two' }] },
      'users-2.json': { users: [] },
    });
    expect([run.code, emails(run)]).toEqual([3, ['one', 'two']]);
    expect(run.skipped).toMatchObject([{ file: 'users-1.json', record: 1 }]);
  });

  test('one damaged Keycloak file among others leaves no output', async () => {
    const run = await convert('keycloak.js', {
      'users-0.json': { users: [{ email: 'one' }] },
      'users-1.json': '{"users": [{"email": "two"}, {"email": "thr',
    });
    expect(run).toMatchObject(failure('users-1.json is cut off or is not valid JSON at line 1, column 44.'));
  });
});

describe('Auth0', () => {
  const user = (id: string, members: object = {}) => ({ _id: { $oid: id }, email: `${id}@x.example`, ...members });
  const profile = (id: string, members: object = {}) => ({ user_id: `auth0|${id}`, ...members });
  const lines = (...values: (object | string)[]) =>
    values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));

  test('an invalid Auth0 line skips only that line', async () => {
    const text = lines(
      user('a', { passwordHash: hash }),
      `{"email": "b@x.example", "passwordHash": "${secret}`,
      '',
      'null',
      user('c', { passwordHash: 7 }),
      user('d', { email: 'd\u2028d@x.example' }),
      `${JSON.stringify(user('e'))},`,
      user('f'),
    ).join('\r\n');
    const run = await convert('auth0.js', { 'hashes.ndjson': `\ufeff${text}\r\n` });
    expect([run.code, emails(run)]).toEqual([3, ['a@x.example', 'd\u2028d@x.example', 'f@x.example']]);
    expect(run.skipped).toEqual([
      { file: 'hashes.ndjson', line: 2, reasons: ['is not valid JSON'] },
      { file: 'hashes.ndjson', line: 4, reasons: [expect.stringMatching(/^record: .*expected object/)] },
      { file: 'hashes.ndjson', line: 5, reasons: [expect.stringMatching(/^passwordHash: .*expected string/)] },
      { file: 'hashes.ndjson', line: 7, reasons: ['is not valid JSON'] },
    ]);
    expect(run.stderr).toContain('hashes.ndjson, line 2: is not valid JSON\n');
    expect(run.stderr + JSON.stringify(run.skipped)).not.toContain(secret);
  });

  test.each(['\n', '\r\n', '\r'])(
    'an Auth0 file can have the line break %j, also at the border of a chunk',
    async (lineBreak) => {
      const [first = '', second = ''] = lines(user('a'), user('b'));
      for (const padding of [0, 1, 2]) {
        const long = first.padEnd(65_536 - padding - lineBreak.length);
        const text = [long, second, '{"email":', second].join(lineBreak);
        const run = await convert('auth0.js', { 'hashes.ndjson': text });
        expect([run.code, emails(run)]).toEqual([3, ['a@x.example', 'b@x.example', 'b@x.example']]);
        expect(run.skipped).toMatchObject([{ line: 3 }]);
      }
    },
  );

  test('an Auth0 file whose last line is cut off leaves no output', async () => {
    const [first = ''] = lines(user('a'));
    const run = await convert('auth0.js', { 'hashes.ndjson': `${first}\n${first.slice(0, -3)}` });
    expect(run).toMatchObject(failure('hashes.ndjson is cut off or is not valid JSON at line 2.'));
  });

  test('Auth0 exports can be arrays instead of lines', async () => {
    const run = await convert('auth0.js', {
      'hashes.json': [user('a'), user('b')],
      'profiles.json': [profile('a', { blocked: true }), profile('b', { blocked: null, name: 'B' })],
    });
    expect(run.users).toMatchObject([{ is_active: false }, { is_active: true, display_name: 'B' }]);
  });

  test('an Auth0 user without a readable profile is skipped', async () => {
    const run = await convert('auth0.js', {
      'hashes.ndjson': lines(user('a'), user('b'), user('c'), { email: 'no-id@x.example' }).join('\n'),
      'profiles.ndjson': lines(profile('a'), profile('b', { blocked: 'yes' })).join('\n'),
    });
    expect([run.code, emails(run)]).toEqual([3, ['a@x.example']]);
    const reasons = ['no profile in profiles.ndjson'];
    expect(run.skipped).toEqual([
      { file: 'profiles.ndjson', line: 2, reasons: [expect.stringMatching(/^blocked: .*expected boolean/)] },
      { file: 'hashes.ndjson', line: 2, reasons },
      { file: 'hashes.ndjson', line: 3, reasons },
      { file: 'hashes.ndjson', line: 4, reasons },
    ]);
  });
});

describe('Django', () => {
  test('Django times without a zone are treated as UTC', async () => {
    const times = [
      '2024-05-06T21:38:57.944',
      '2024-05-06T21:38:57',
      '2024-05-06T21:38:57Z',
      '2024-05-06T21:38:57+02:00',
    ];
    const run = await djangoFile(...times.map((time) => django({ date_joined: time })));
    expect(run.code).toBe(0);
    expect(run.users?.map((user) => user['created_at'])).toEqual([
      '2024-05-06T21:38:57.944Z',
      '2024-05-06T21:38:57Z',
      '2024-05-06T21:38:57Z',
      '2024-05-06T21:38:57+02:00',
    ]);
  });

  test('a Django time without a zone is omitted if it is at most 14 hours in the future', async () => {
    const local = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, -1);
    const times = [local(9), local(20), '2190-01-01T00:00:00'];
    const run = await djangoFile(...times.map((time) => django({ date_joined: time })));
    expect(run.users?.map((user) => user['created_at'])).toEqual([undefined, `${times[1]}Z`, `${times[2]}Z`]);
  });

  test('an unusable or empty Django password becomes no password, and unknown hashes are left to the import', async () => {
    const run = await djangoFile(
      ...['!x', '', null, undefined, 'md5$salt$hash'].map((password) => django({ password })),
    );
    expect(run.code).toBe(0);
    expect(run.users?.map((user) => user['password_hash'] ?? '')).toEqual(['', '', '', '', 'md5$salt$hash']);
  });

  test('a blank Django name is replaced by the username or the address', async () => {
    const names = [{ first_name: ' ', last_name: 'Lovelace' }, { first_name: ' ', username: 'u' }, { username: ' ' }];
    const { users } = await djangoFile(...names.map((name) => django(name)));
    expect(users?.map((user) => user['display_name'])).toEqual(['Lovelace', 'u', 'ada']);
  });

  test('a Django row without fields, or with fields of other types, is skipped', async () => {
    const run = await djangoFile({ pk: 1 }, django({ email: 7 }), django({ is_active: null }), django());
    expect([run.code, run.skipped?.map(({ record }) => record)]).toEqual([3, [1, 2, 3]]);
    expect(run.skipped?.[1]).toMatchObject({ reasons: [expect.stringMatching(/^fields\.email: /)] });
  });
});

describe('input files', () => {
  const text = JSON.stringify([django({ first_name: 'Zoë 😀' })], null, 2);
  const utf16be = (content: string) => Buffer.from(content, 'utf16le').swap16();

  test('an export can be UTF-8 or UTF-16, with or without a byte order mark', async () => {
    const files = [
      text,
      `\ufeff${text}`,
      Buffer.from(`\ufeff${text}`, 'utf16le'),
      utf16be(`\ufeff${text}`),
      Buffer.from(text, 'utf16le'),
      utf16be(`\r\n${text}`),
      ` \r\n\r\n${text.replaceAll('\n', '\r\n')}\r\n`,
    ];
    for (const file of files) {
      const run = await convert('django.js', { 'users.json': file });
      expect(run).toMatchObject({ code: 0, users: [{ display_name: 'Zoë 😀' }] });
    }
  });

  test('an export in another encoding fails with one sentence', async () => {
    const files = [
      Buffer.from(text.replace(' 😀', ''), 'latin1'),
      Buffer.from([0xff, 0xfe, 0, 0, 0x5b, 0, 0, 0]),
      Buffer.concat([Buffer.from('\ufeff', 'utf16le'), Buffer.from([0, 0]), Buffer.from(text, 'utf16le')]),
      Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
      Buffer.from(text).subarray(0, Buffer.byteLength(text.slice(0, text.indexOf('ë') + 1)) - 1),
      Buffer.from(`\ufeff${text}`, 'utf16le').subarray(0, -1),
    ];
    const sentence = 'users.json is not text in UTF-8 or UTF-16.';
    for (const file of files)
      expect(await convert('django.js', { 'users.json': file })).toMatchObject(failure(sentence));
  });

  test('an export that is empty, missing or a folder fails with one sentence', async () => {
    for (const content of ['', ' \r\n', '\ufeff', Buffer.from('\ufeff', 'utf16le')])
      expect(await convert('django.js', { 'users.json': content })).toMatchObject(failure('users.json is empty.'));
    for (const [path, code] of [
      ['nowhere.json', 'ENOENT'],
      ['.', 'EISDIR'],
    ] as const) {
      const run = await runIn(await mkdtemp(join(root, 'run-')), 'django.js', [path, '-o', 'users.ndjson']);
      expect(run).toMatchObject(failure(`${path} cannot be read: ${code}.`));
    }
  });

  test('an export that is cut off or is not valid JSON fails with the position', async () => {
    const row = JSON.stringify(django({ password: secret }));
    const files: [string, number, number][] = [
      [`[\n${row},\n${row.slice(0, -9)}`, 3, row.length - 8],
      [`[\n${row},\n${row}`, 3, row.length + 1],
      [`[\n${row},\n]`, 3, 1],
      [`[\n${row},,\n${row}]`, 2, row.length + 2],
      [`[\n${row}\n${row}]`, 3, 1],
      [`[\n${row}]\n,`, 3, 1],
      [`[\n${row}]\n[]`, 3, 1],
      [`[\n${row.replace('}', ',}')}]`, 2, row.indexOf('}') + 2],
      [`[`, 1, 2],
    ];
    for (const [file, line, column] of files) {
      const sentence = `users.json is cut off or is not valid JSON at line ${line}, column ${column}.`;
      expect([file, await convert('django.js', { 'users.json': file })]).toMatchObject([file, failure(sentence)]);
    }
    for (const file of ['Loading settings\n[]', 'null', '"text"', '7'])
      expect(await convert('django.js', { 'users.json': file })).toMatchObject(
        failure('users.json does not contain JSON objects.'),
      );
  });

  test('an empty array becomes an empty output', async () => {
    expect(await djangoFile()).toMatchObject({ code: 0, stdout: '0 converted, 0 skipped.\n', users: [] });
  });

  test('the last of duplicate keys wins, and the key __proto__ is ignored', async () => {
    const row =
      '{"fields":{"email":"a@x.example","email":"b@x.example","__proto__":{"first_name":"X"},"username":"u"}}';
    const { users } = await convert('django.js', { 'users.json': `[${row}]` });
    expect(users).toEqual([{ email: 'b@x.example', display_name: 'u' }]);
  });

  test('a record of 20 MB is converted from an array and from a line', async () => {
    const large = django({ first_name: 'Ada', bio: 'é'.repeat(10_000_000) });
    const expected = { code: 0, users: [{ display_name: 'Ada' }, { email: 'ada@x.example' }] };
    expect(await djangoFile(large, django())).toMatchObject(expected);
    const lines = [large, django()].map((row) => JSON.stringify(row)).join('\n');
    expect(await convert('django.js', { 'users.json': lines })).toMatchObject(expected);
  });

  test('an export larger than the heap is converted', async () => {
    const folder = await mkdtemp(join(root, 'run-'));
    const rows = 40_000;
    async function* content() {
      yield '[';
      for (let row = 0; row < rows; row += 1)
        yield `${row > 0 ? ',\n' : ''}${JSON.stringify(django({ email: `${row}@x.example`, bio: 'x'.repeat(1500) }))}`;
      yield ']';
    }
    await pipeline(content, createWriteStream(join(folder, 'users.json')));
    expect((await stat(join(folder, 'users.json'))).size).toBeGreaterThan(60_000_000);
    const args = ['users.json', '--output', 'users.ndjson'];
    const run = await runIn(folder, 'django.js', args, ['--max-old-space-size=32']);
    expect(run).toMatchObject({ code: 0, stdout: `${rows} converted, 0 skipped.\n` });
    expect(run.users).toHaveLength(rows);
  });
});

describe('output files', () => {
  test('only the owner can read the output and the report', async () => {
    const { folder } = await djangoFile(django(), { pk: 2 });
    for (const name of ['users.ndjson', 'users.ndjson.skipped.ndjson'])
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  });

  test('only a complete conversion replaces the output and report of an earlier run', async () => {
    const { folder, ...first } = await djangoFile(django(), { pk: 2 });
    const input = join(folder, 'users.json');
    const args = ['users.json', '--output', 'users.ndjson'];
    await writeFile(join(folder, 'users.ndjson.partial'), 'left behind by a killed run');

    await writeFile(input, `[${JSON.stringify(django({ email: 'b@x.example' }))},{},`);
    const failed = await runIn(folder, 'django.js', args);
    expect(failed).toMatchObject({ code: 1, users: first.users, skipped: first.skipped });

    await writeFile(input, JSON.stringify([django({ email: 'b@x.example' })]));
    const second = await runIn(folder, 'django.js', args);
    expect([second.code, emails(second), second.skipped]).toEqual([0, ['b@x.example'], undefined]);
    expect(await readdir(folder)).toEqual(['users.json', 'users.ndjson']);
  });

  test('a conversion that is killed leaves only a partial file', async () => {
    const folder = await mkdtemp(join(root, 'run-'));
    const input = join(folder, 'users.json');
    execFileSync('mkfifo', [input]);
    const child = spawn(process.execPath, [resolve('examples/migrate/django.js'), input, '-o', 'users.ndjson'], {
      cwd: folder,
    });
    const file = await open(input, 'w');
    await file.write(`[${JSON.stringify(django())},`);
    while (!(await readdir(folder)).includes('users.ndjson.partial')) await setTimeout(10);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await file.close();
    expect((await readdir(folder)).toSorted()).toEqual(['users.json', 'users.ndjson.partial']);
  });

  test('the output cannot be an input, a folder, a device or in a missing folder', async () => {
    const { folder } = await djangoFile(django());
    const failures: [string, number, string][] = [
      ['users.json', 2, 'users.json is also an input. Choose another name for the output.\n'],
      ['./users.json', 2, './users.json is also an input. Choose another name for the output.\n'],
      ['.', 2, '. exists and is not a regular file.\n'],
      ['/dev/null', 2, '/dev/null exists and is not a regular file.\n'],
      ['nowhere/users.ndjson', 1, 'nowhere/users.ndjson cannot be written: ENOENT.\n'],
    ];
    for (const [output, code, stderr] of failures)
      expect(await runIn(folder, 'django.js', ['users.json', '-o', output])).toMatchObject({
        code,
        stderr,
        stdout: '',
      });
    expect(JSON.parse(await readFile(join(folder, 'users.json'), 'utf8'))).toEqual([django()]);
  });

  test('wrong arguments exit with 2 and print the usage', async () => {
    const folder = await mkdtemp(join(root, 'run-'));
    const stderr = 'Usage: node examples/migrate/django.js users.json --output users.ndjson\n';
    for (const args of [
      [],
      ['users.json'],
      ['a', 'b', '-o', 'c'],
      ['-o', 'c'],
      ['a', '--output'],
      ['a', '--fly', '-o', 'c'],
    ])
      expect(await runIn(folder, 'django.js', args)).toMatchObject({ code: 2, stdout: '', stderr, created: [] });
  });
});
