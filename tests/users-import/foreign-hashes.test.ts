// Users with password hashes of other systems can log in, and the first login replaces their hashes.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parseHash } from '../../src/platform/password-hashing/hash-formats.ts';
import { freshEmail } from '../harness.ts';
import { foreignHashes } from './foreign-hashes.ts';
import { type ImportHarness, startImportHarness } from './import-harness.ts';

jest.setTimeout(60_000);

let harness: ImportHarness;
const accounts = foreignHashes.map((brought) => ({ ...brought, email: freshEmail() }));

beforeAll(async () => {
  harness = await startImportHarness({ ARGON2_ITERATIONS: '4' }); // more than any of the hashes
  const lines = accounts.map(({ email, hash }) => ({ email, display_name: 'Ada Lovelace', password_hash: hash }));
  const { code, stdout } = await harness.run(await harness.write(...lines));
  if (code !== 0) throw new Error(stdout); // without the accounts, no test can pass
});
afterAll(() => harness.close());

const hashOf = async (email: string) =>
  (await harness.rows('SELECT password_hash FROM users WHERE email = $1', email))[0]?.['password_hash'];

const current = /^\$argon2id\$v=19\$m=19456,t=4,p=1\$/;

describe('the first login verifies and replaces an imported hash of', () => {
  test.each(accounts)('$madeBy', async ({ email, password, hash, stored = hash }) => {
    expect(await hashOf(email)).toBe(stored);
    for (const wrong of [`${password}x`, password.slice(1), password.toUpperCase()])
      expect((await harness.app.login(email, wrong)).status).toBe(401);
    expect(await hashOf(email)).toBe(stored);

    // The same password with a decomposed accent.
    expect((await harness.app.login(email, password.normalize('NFD'))).status).toBe(200);
    const replaced = await hashOf(email);
    expect(replaced).toMatch(current);

    expect((await harness.app.login(email, password)).status).toBe(200);
    expect(await hashOf(email)).toBe(replaced);
    expect((await harness.app.login(email, `${password}x`)).status).toBe(401);
  });
});

test('thirty concurrent first logins succeed and leave one hash', async () => {
  const email = freshEmail();
  const { hash = '', password = '' } = foreignHashes.find(({ hash }) => hash.startsWith('$scrypt$ln=4,')) ?? {};
  await harness.run(await harness.write({ email, display_name: 'Ada', password_hash: hash }));
  const responses = await Promise.all(Array.from({ length: 30 }, () => harness.app.login(email, password)));
  expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
  expect(await hashOf(email)).toMatch(current);
});

test('an account without a hash has no password until a password reset', async () => {
  const email = freshEmail();
  expect(await harness.run(await harness.write({ email, display_name: 'Ada', password_hash: null }))).toMatchObject({
    code: 0,
  });
  expect(await hashOf(email)).toBe('!');
  for (const guess of ['!', 'null', ' '])
    expect((await harness.app.login(email, guess)).body).toMatchObject({ code: 'invalid_credentials' });
});

test('a normalized hash is normalized to itself', () => {
  for (const { hash, stored = hash } of foreignHashes) {
    expect(parseHash(hash)?.stored).toBe(stored);
    expect(parseHash(stored)?.stored).toBe(stored);
  }
});

test('a hash that differs in any part does not verify', async () => {
  const cheap = foreignHashes.filter(({ hash }) => /^\$(scrypt\$ln=4|pbkdf2-sha256\$29000)/.test(hash));
  expect(cheap).toHaveLength(2);
  for (const { hash, password } of cheap)
    for (const at of [hash.lastIndexOf('$') - 3, hash.lastIndexOf('$') + 1, hash.length - 4]) {
      const other = `${hash.slice(0, at)}${hash[at] === 'A' ? 'B' : 'A'}${hash.slice(at + 1)}`;
      expect(await parseHash(other)?.matches(password)).toBe(false);
    }
});

const b64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
const plain = (bytes: number) => b64(bytes).replace(/=+$/, '');
const bcryptTail = `${'.'.repeat(53)}`;

describe('a hash is refused as too expensive:', () => {
  test.each([
    ['Argon2 with 257 MiB', `$argon2id$v=19$m=263168,t=1,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with five passes over 256 MiB', `$argon2id$v=19$m=262144,t=5,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with four billion passes', `$argon2id$v=19$m=8,t=4294967295,p=1$${plain(16)}$${plain(32)}`],
    ['bcrypt with cost 16', `$2b$16$${bcryptTail}`],
    ["Django's bcrypt with cost 31", `bcrypt_sha256$$2b$31$${bcryptTail}`],
    ['scrypt with 512 MiB', `$scrypt$ln=19,r=8,p=1$${plain(16)}$${plain(32)}`],
    ['scrypt with many lanes', `$scrypt$ln=10,r=8,p=1025$${plain(16)}$${plain(32)}`],
    ['scrypt with much memory for its lanes', `$scrypt$ln=1,r=8,p=400000$${plain(16)}$${plain(32)}`],
    ['scrypt with large blocks', `$scrypt$ln=1,r=1048577,p=1$${plain(16)}$${plain(32)}`],
    ["Django's scrypt", `scrypt$1073741824$salt$8$1$${b64(64)}`],
    ["Firebase's scrypt", `$fbscrypt$v=1,n=30,r=8,p=1,ss=Bw==,sk=${b64(64)}$${b64(8)}$${b64(64)}`],
    ['PBKDF2 with seven million iterations', `$pbkdf2-sha512$i=7000000$${plain(16)}$${plain(64)}`],
    [
      'PBKDF2 with two million iterations for each of seven digests',
      `$pbkdf2-sha1$i=2000000$${plain(16)}$${plain(128)}`,
    ],
    ["Django's PBKDF2 with ten billion iterations", `pbkdf2_sha256$9999999999$salt$${b64(32)}`],
  ])('%s', (_description, hash) => {
    expect(parseHash(hash)).toMatchObject({
      costError: expect.stringMatching(
        /^(requires more than 256 MiB of memory|is too expensive to verify) at a login$/,
      ),
    });
  });
});

describe('a text is not a supported hash:', () => {
  test.each([
    ['an empty text', ''],
    ['a password', 'correct horse battery staple'],
    ['MD5', '5f4dcc3b5aa765d61d8327deb882cf99'],
    ["Django's MD5", 'md5$salt$5f4dcc3b5aa765d61d8327deb882cf99'],
    ["Django's marker for no password", '!HWGVQZZcUADDRkxMGtYkoTnePP9j5PypArnqI2J1'],
    ['Argon2 with too little memory for its lanes', `$argon2id$v=19$m=7,t=1,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with a leading zero', `$argon2id$v=19$m=01024,t=1,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with no pass', `$argon2id$v=19$m=1024,t=0,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 of another version', `$argon2id$v=18$m=1024,t=1,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with a salt of five bytes', `$argon2id$v=19$m=1024,t=1,p=1$${plain(5)}$${plain(32)}`],
    ['Argon2 with stray bits in its base64', `$argon2id$v=19$m=1024,t=1,p=1$${plain(16)}$${'B'.repeat(43)}`],
    ['a hash of 15 bytes', `$pbkdf2-sha256$i=1000$${plain(16)}$${plain(15)}`],
    ['truncated bcrypt', `$2b$10$${bcryptTail.slice(1)}`],
    ['bcrypt with cost 3', `$2b$03$${bcryptTail}`],
    ['bcrypt of another kind', `$2x$10$${bcryptTail}`],
    ['scrypt with N = 1', `$scrypt$ln=0,r=8,p=1$${plain(16)}$${plain(32)}`],
    ['scrypt with an N that is not a power of two', `scrypt$16383$salt$8$1$${b64(64)}`],
    ['scrypt without lanes', `$scrypt$ln=4,r=8,p=0$${plain(16)}$${plain(32)}`],
    ['PBKDF2 with no iteration', `$pbkdf2-sha256$i=0$${plain(16)}$${plain(32)}`],
    ['PBKDF2 with an unknown digest', `$pbkdf2-md5$i=1000$${plain(16)}$${plain(16)}`],
    ['Firebase without its signer key', `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=$${b64(8)}$${b64(64)}`],
    ['Firebase with a hash of another length', `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=${b64(64)}$${b64(8)}$${b64(63)}`],
    ['a supported hash followed by a line break', `$pbkdf2-sha256$i=1000$${plain(16)}$${plain(32)}\n`],
    ['a text of a million characters', `$pbkdf2-sha256$i=1000$${'A'.repeat(1_000_000)}$${plain(32)}`],
  ])('%s', (_description, hash) => {
    expect(parseHash(hash)).toBeUndefined();
  });
});
