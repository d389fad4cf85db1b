import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { advance, formatToken, hashToken, makeRatchet, newSalt, next } from '../../src/core/sessions/refresh-token.ts';
import type { SessionId } from '../../src/lib/ids.ts';

jest.setTimeout(30_000);

const sessionId = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11' as SessionId;
const root = Buffer.from(Array.from({ length: 32 }, (_, n) => n));
const masterKeys = deriveMasterKeys([root]);
const ratchet = makeRatchet(masterKeys);

/** A second implementation of the token format, written from the specification only. */
const specification = {
  subkey: (purpose: string, of = root) =>
    Buffer.from(hkdfSync('sha256', of, '', `keyturn/refresh-token/${purpose}`, 32)),
  hmac: (key: Buffer, ...parts: (Buffer | string)[]) =>
    parts.reduce((hmac, part) => hmac.update(part), createHmac('sha256', key)).digest(),
  generation(n: number) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(n);
    return bytes;
  },
  token(id: string, n: number, secret: Buffer, of = root) {
    const parts = [Buffer.from(id.replaceAll('-', ''), 'hex'), this.generation(n), secret];
    const mac = this.hmac(this.subkey('mac', of), 'ktr', ...parts).subarray(0, 16);
    return `ktr_${Buffer.concat([...parts, mac]).toString('base64url')}`;
  },
  next(id: string, n: number, secret: Buffer, salt: Buffer) {
    return this.hmac(
      this.subkey('ratchet'),
      Buffer.from(id.replaceAll('-', ''), 'hex'),
      this.generation(n),
      secret,
      salt,
    );
  },
};

const secret = Buffer.alloc(32, 0xa5);
const first = specification.token(sessionId, 0, secret);

function parsed(text: string, by = ratchet) {
  const token = by.parse(text);
  if (!token) throw new Error(`invalid token: ${text}`);
  return token;
}

describe('a refresh token', () => {
  test('has the format of the specification (known answer)', () => {
    expect(first).toBe(
      'ktr_AZehsG8vfB2aUTpsH24rEQAAAAClpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpW7a5uP91ggyj54SmNgr9V8',
    );
    expect(parsed(first)).toMatchObject({ sessionId, generation: 0, secret });
    expect(formatToken(parsed(first))).toBe(first);
    expect(first).toHaveLength(95);
  });

  test('of any session, generation and secret is parsed to the same values and formatted to the same text', () => {
    const id = fc.uuid();
    const generation = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(id, generation, fc.uint8Array({ minLength: 32, maxLength: 32 }), (anyId, n, bytes) => {
        const text = specification.token(anyId, n, Buffer.from(bytes));
        const token = parsed(text);
        expect([token.sessionId, token.generation, [...token.secret]]).toEqual([anyId, n, [...bytes]]);
        expect(formatToken(token)).toBe(text);
      }),
    );
  });

  test('of generation 0 has a secret of 32 random bytes', () => {
    const tokens = Array.from({ length: 100 }, () => ratchet.start(sessionId));
    expect(new Set(tokens.map((token) => token.secret.toString('hex'))).size).toBe(100);
    for (const token of tokens) {
      expect([token.sessionId, token.generation, token.secret.length]).toEqual([sessionId, 0, 32]);
      expect(parsed(formatToken(token))).toEqual(token);
    }
  });

  test('is stored as the SHA-256 of its secret', () => {
    expect(hashToken(parsed(first))).toEqual(createHash('sha256').update(secret).digest());
  });
});

describe('parsing rejects', () => {
  test('every change of one character', () => {
    const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n\0é';
    const accepted: string[] = [];
    for (let at = 0; at < first.length; at += 1)
      for (const character of characters) {
        const changed = first.slice(0, at) + character + first.slice(at + 1);
        if (changed !== first && ratchet.parse(changed)) accepted.push(changed);
      }
    expect(accepted).toEqual([]);
  });

  test('truncated tokens, inserted characters and other prefixes', () => {
    for (let at = 0; at < first.length; at += 1) {
      expect(ratchet.parse(first.slice(0, at))).toBeUndefined();
      expect(ratchet.parse(`${first.slice(0, at)}A${first.slice(at)}`)).toBeUndefined();
    }
    const body = first.slice(4);
    for (const text of ['', body, `ktk_${body}`, `KTR_${body}`, `ktr-${body}`, `${first}=`, ` ${first}`, `${first}\n`])
      expect(ratchet.parse(text)).toBeUndefined();
  });

  test('random text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 0, maxLength: 100 }), (text) => {
        expect(ratchet.parse(text)).toBeUndefined();
        expect(ratchet.parse(`ktr_${text}`)).toBeUndefined();
      }),
    );
    for (let tries = 0; tries < 200; tries += 1)
      expect(ratchet.parse(`ktr_${randomBytes(68).toString('base64url')}`)).toBeUndefined();
  });

  test('a token of an unknown master key', () => {
    expect(ratchet.parse(specification.token(sessionId, 0, secret, Buffer.alloc(32, 1)))).toBeUndefined();
  });
});

describe('the next token', () => {
  test('is the successor of the specification (known answer)', () => {
    const salt = Buffer.alloc(16, 7);
    const second = next(parsed(first), salt);
    expect(formatToken(second)).toBe(specification.token(sessionId, 1, specification.next(sessionId, 0, secret, salt)));
    expect(formatToken(second)).toBe(
      'ktr_AZehsG8vfB2aUTpsH24rEQAAAAE5Ll45QlOyofI4fZ1EOgoJv9-JI6ExKyn-yb0xgbMhJphy4mBRwIQAGgOTBpeZZyE',
    );
    expect(second.generation).toBe(1);
  });

  test('depends on the token and the salt only', () => {
    const salts = Array.from({ length: 100 }, newSalt);
    const successors = salts.map((salt) => formatToken(next(parsed(first), salt)));
    expect(new Set(successors).size).toBe(100);
    expect(salts.map((salt) => formatToken(next(parsed(first), salt)))).toEqual(successors);
    for (const salt of salts) expect(salt).toHaveLength(16);
  });

  test('differs for another session, generation, secret or master key', () => {
    const salt = Buffer.alloc(16, 7);
    const other = makeRatchet(deriveMasterKeys([Buffer.alloc(32, 1)]));
    const secrets = [
      next(parsed(first), salt),
      next(parsed(specification.token(sessionId.replace('0197', '0198'), 0, secret)), salt),
      next(parsed(specification.token(sessionId, 1, secret)), salt),
      next(parsed(specification.token(sessionId, 0, Buffer.alloc(32, 1))), salt),
      next(parsed(specification.token(sessionId, 0, secret, Buffer.alloc(32, 1)), other), salt),
    ].map((token) => token.secret.toString('hex'));
    expect(new Set(secrets).size).toBe(secrets.length);
  });

  test('advances any generation to the newest with the salts of the rotations in between', () => {
    const salts = Array.from({ length: 8 }, newSalt);
    const chain = salts.reduce(
      (tokens, salt) => [...tokens, next(tokens.at(-1) ?? parsed(first), salt)],
      [parsed(first)],
    );
    const newest = chain.at(-1);
    for (const [generation, token] of chain.entries())
      expect(advance(token, salts.slice(generation).reverse())).toEqual(newest);
    expect(advance(parsed(first), salts)).not.toEqual(newest);
  });
});

describe('with several master keys', () => {
  const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const both = makeRatchet(deriveMasterKeys([fresh, old]));

  test('the first creates tokens, all verify them, and a session stays with its key', () => {
    const before = makeRatchet(deriveMasterKeys([old]));
    const after = makeRatchet(deriveMasterKeys([fresh]));
    const oldToken = formatToken(before.start(sessionId));
    const newToken = formatToken(both.start(sessionId));
    expect([after.parse(oldToken), before.parse(newToken)]).toEqual([undefined, undefined]);
    expect(after.parse(newToken)).toBeDefined();

    const salt = newSalt();
    const rotated = formatToken(next(parsed(oldToken, both), salt));
    expect(rotated).toBe(formatToken(next(parsed(oldToken, before), salt)));
    expect(before.parse(rotated)).toBeDefined();
  });
});
