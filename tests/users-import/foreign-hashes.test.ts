// Users with password hashes of other systems can log in, and the first login replaces their hashes.
import { pbkdf2Sync, scryptSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { hash as argon2, hashRawSync } from '@node-rs/argon2';
import { hash as bcrypt } from '@node-rs/bcrypt';
import fc from 'fast-check';
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
    expect((await harness.app.login(email, password.toUpperCase())).status).toBe(401);
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

describe('an imported hash of a password that was not normalized', () => {
  const typed = 'Zo\u00eb \ufb01nds 5 \u212b'; // has five different forms
  const forms = [typed, ...['NFC', 'NFD', 'NFKC', 'NFKD'].map((form) => typed.normalize(form))];

  test('is verified in every form, and replaced', async () => {
    expect(new Set(forms).size).toBe(5);
    const salt = Buffer.alloc(16, 7);
    const hashes = await Promise.all(
      forms.flatMap((form) => [
        bcrypt(form, 4),
        Promise.resolve(
          `$pbkdf2-sha256$i=1$${plain(16)}$${pbkdf2Sync(form, salt, 1, 32, 'sha256').toString('base64')}`,
        ),
        // As strong as the service's own, so that only the form of the password requires another hash.
        argon2(form, { algorithm: 2, memoryCost: 19_456, timeCost: 4, parallelism: 1 }),
      ]),
    );
    const users = hashes.map((hash) => ({ email: freshEmail(), display_name: 'Zoë', password_hash: hash }));
    expect((await harness.run(await harness.write(...users))).code).toBe(0);
    for (const { email, password_hash: hash } of users) {
      expect((await harness.app.login(email, `${typed}x`)).status).toBe(401);
      expect([hash, (await harness.app.login(email, typed)).status]).toEqual([hash, 200]);
      const replaced = await hashOf(email);
      expect(replaced).toMatch(current);
      expect(replaced).not.toBe(hash);
      expect((await harness.app.login(email, typed.normalize('NFD'))).status).toBe(200);
      expect(await hashOf(email)).toBe(replaced);
    }
  });

  test('is verified to change the password', async () => {
    const email = freshEmail();
    const hash = await bcrypt(typed.normalize('NFD'), 4);
    await harness.run(await harness.write({ email, display_name: 'Zoë', password_hash: hash }));
    const { access_token: token } = (await harness.app.login(email, typed)).body as { access_token: string };
    await harness.rows('UPDATE users SET password_hash = $2 WHERE email = $1', email, hash);
    const change = { current_password: typed, new_password: 'a quieter mare and no battery' };
    expect((await harness.app.post('/me/password', change, token)).status).toBe(204);
  });

  test('is kept if it is bcrypt and one of the forms is longer than bcrypt uses', async () => {
    const long = 'é'.repeat(30); // 60 bytes, in NFD 90
    const email = freshEmail();
    const hash = await bcrypt(long.normalize('NFD'), 4);
    await harness.run(await harness.write({ email, display_name: 'Zoë', password_hash: hash }));
    for (const form of [long, long.normalize('NFD')]) expect((await harness.app.login(email, form)).status).toBe(200);
    expect(await hashOf(email)).toBe(hash);
  });
});

describe('parseHash accepts another spelling of a hash, and the stored one verifies:', () => {
  const password = 'U*U*';
  const [salt, digest] = [Buffer.alloc(16, 0xfb), Buffer.alloc(32)];
  const cheap = { algorithm: 0, memoryCost: 16, timeCost: 1, parallelism: 1, salt, outputLen: digest.length };
  const argon2Digest = (version: number) => hashRawSync(password, { ...cheap, version });
  const encoded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  const pbkdf2 = pbkdf2Sync(password, salt, 310_000, 32, 'sha256');
  const argon2Of = (parameters: string, version: 0 | 1, end = '') =>
    `$argon2d$${parameters}$${encoded(salt)}${end}$${encoded(argon2Digest(version))}${end && '='}`;
  const bcryptHash = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK';

  test.each([
    ['bcrypt with stray bits in its salt', bcryptHash.replace('.VG', 'NVG'), bcryptHash],
    ['bcrypt with other stray bits in its salt', bcryptHash.replace('.VG', '/VG'), bcryptHash],
    ['bcrypt with stray bits in its hash', bcryptHash.replace(/K$/, 'N'), bcryptHash],
    ["Django's bcrypt with stray bits in its salt", `bcrypt$${bcryptHash.replace('.VG', 'NVG')}`, bcryptHash],
    ["Spring Security's bcrypt with stray bits", `{bcrypt}${bcryptHash.replace('.VG', 'NVG')}`, bcryptHash],
    ['PHP bcrypt', bcryptHash.replace('2a', '2y'), bcryptHash.replace('2a', '2y')],
    ['Argon2 with padding', argon2Of('v=19$m=16,t=1,p=1', 1, '=='), `argon2${argon2Of('v=19$m=16,t=1,p=1', 1)}`],
    ['Argon2 with its parameters in another order', argon2Of('v=19$t=1,p=1,m=16', 1), undefined],
    ['Argon2 without a version', argon2Of('m=16,t=1,p=1', 0), `argon2${argon2Of('v=16$m=16,t=1,p=1', 0)}`],
    ["Django's Argon2", `argon2${argon2Of('v=19$m=16,t=1,p=1', 1)}`, undefined],
    ["Spring Security's {argon2}", `{argon2}${argon2Of('v=19$m=16,t=1,p=1', 1)}`, undefined],
    ["Spring Security's newer Argon2", `{argon2@SpringSecurity_v5_8}${argon2Of('v=19$m=16,t=1,p=1', 1)}`, undefined],
    [
      "Spring Security's newer PBKDF2",
      `{pbkdf2@SpringSecurity_v5_8}${salt.toString('hex')}${pbkdf2.toString('hex')}`,
      undefined,
    ],
    [
      "Spring Security's PBKDF2 in upper case",
      `{pbkdf2@SpringSecurity_v5_8}${Buffer.concat([salt, pbkdf2]).toString('hex').toUpperCase()}`,
      undefined,
    ],
    [
      "Spring Security's newer scrypt",
      `{scrypt@SpringSecurity_v5_8}$40102$${salt.toString('base64')}$${scryptSync(password, salt, 32, { N: 16, r: 1, p: 2 }).toString('base64')}`,
      `$scrypt$ln=4,r=1,p=2$${encoded(salt)}$${encoded(scryptSync(password, salt, 32, { N: 16, r: 1, p: 2 }))}`,
    ],
    [
      "passlib's PBKDF2 with SHA-1",
      `$pbkdf2$1000$${encoded(salt).replaceAll('+', '.')}$${encoded(pbkdf2Sync(password, salt, 1000, 20, 'sha1')).replaceAll('+', '.')}`,
      undefined,
    ],
  ])('%s', async (_title, hash, normalized) => {
    const { stored = '' } = parseHash(hash) ?? {};
    expect([stored, undefined]).toContain(normalized);
    expect(parseHash(stored)?.stored).toBe(stored);
    expect(await parseHash(stored)?.matches(password)).toBe(true);
    expect(await parseHash(stored)?.matches(`${password}x`)).toBe(false);
  });
});

test('every hash that is accepted verifies its password', async () => {
  const bytes = (min: number, max: number) =>
    fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array));
  const inputs = fc.record({
    password: fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
    salt: bytes(1, 129),
    length: fc.integer({ min: 15, max: 129 }),
    t: fc.integer({ min: 1, max: 3 }),
    p: fc.integer({ min: 1, max: 9 }),
    isPadded: fc.boolean(),
  });
  let accepted = 0;
  const check = async (hash: string, password: string) => {
    const stored = parseHash(hash)?.stored;
    if (stored === undefined) return;
    accepted += 1;
    expect([hash, await parseHash(stored)?.matches(password)]).toEqual([hash, true]);
  };
  await fc.assert(
    fc.asyncProperty(inputs, async ({ password, salt, length, t, p, isPadded }) => {
      const encode = (data: Buffer) => data.toString('base64').replace(/=+$/, isPadded ? '$&' : '');
      const ends = (hash: Buffer) => `$${encode(salt)}$${encode(hash)}`;
      const isArgon2Salt = salt.length >= 8;
      for (const [algorithm, name] of ['d', 'i', 'id'].entries())
        for (const version of isArgon2Salt ? [0, 1] : []) {
          const cost = { algorithm, version, memoryCost: 8 * p + t, timeCost: t, parallelism: p };
          const hash = hashRawSync(password, { ...cost, salt, outputLen: length });
          await check(`$argon2${name}$v=${version ? 19 : 16}$m=${8 * p + t},t=${t},p=${p}${ends(hash)}`, password);
        }
      for (const digest of ['sha1', 'sha256', 'sha512'])
        await check(`$pbkdf2-${digest}$i=${t}${ends(pbkdf2Sync(password, salt, t, length, digest))}`, password);
      const derived = scryptSync(password, salt, length, { N: 2 ** t, r: p, p: t });
      await check(`$scrypt$ln=${t},r=${p},p=${t}${ends(derived)}`, password);
    }),
    { numRuns: 30 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test.each([
  ['padded with spaces by a column of fixed width', (hash: string) => hash.padEnd(128)],
  ['followed by a line break', (hash: string) => `${hash}\r\n`],
])('a hash is imported although it is %s', async (_title, pad) => {
  const email = freshEmail();
  const hash = await bcrypt('correct horse', 4);
  await harness.run(await harness.write({ email, display_name: 'Ada', password_hash: pad(hash) }));
  expect(await hashOf(email)).toBe(hash);
  expect((await harness.app.login(email, 'correct horse')).status).toBe(200);
});

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
    ['a plain password of Spring Security', '{noop}password'],
    [
      "Spring Security's SHA-256",
      '{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf8410849f27605abcbc0',
    ],
    ["Spring Security's PBKDF2 of an unknown configuration", `{pbkdf2@custom}${'5d'.repeat(40)}`],
    ["Spring Security's PBKDF2 of another length", `{pbkdf2}${'5d'.repeat(41)}`],
    ["Spring Security's prefix before another algorithm", `{argon2}$2b$10$${bcryptTail}`],
    ['Argon2 with a parameter twice', `$argon2id$v=19$m=1024,m=1024,p=1$${plain(16)}$${plain(32)}`],
    ['Argon2 with a secret key', `$argon2id$v=19$m=1024,t=1,p=1,keyid=AAAA$${plain(16)}$${plain(32)}`],
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
