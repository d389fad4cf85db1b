import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { audience, type Forger, goodClaims, issuer, makeForger, type Members, now, verdict } from './forger.ts';

// Tokens with valid signatures and invalid claims.
let service: Forger;
let good: string;
beforeAll(async () => {
  service = await makeForger();
  good = await service.sign();
});

const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: service.key.kid });
const judge = (claims: Members) => verdict(service.verify, service.craft(header(), { ...goodClaims, ...claims }));

/** Inserts the claim as raw text, for numbers that JSON.stringify cannot produce. */
const judgeText = (claim: string, text: string) =>
  verdict(
    service.verify,
    service.craft(
      header(),
      JSON.stringify({ ...goodClaims, [claim]: '@' }).replace('"@"', () => text),
    ),
  );

test('a token with valid claims is accepted', () => {
  expect(judge({})).toBe('accepted');
  expect(judgeText('exp', String(now + 900))).toBe('accepted');
});

test('the issuer must match exactly', () => {
  for (const iss of [`${issuer}/`, issuer.toUpperCase(), 'https://evil.example', '', null, undefined, [issuer], 7])
    expect([iss, judge({ iss })]).toEqual([iss, 'refused']);
});

test('the audience must contain a configured one', () => {
  const foreign = 'https://other.example.com';
  const own = audience[0];
  for (const aud of [foreign, `${own}/`, '', null, undefined, {}, [], [foreign], [[own]], { 0: own }, audience.join()])
    expect([aud, judge({ aud })]).toEqual([aud, 'refused']);
});

test('exp must be a number in the future', () => {
  for (const exp of [now, now - 1, 0, -1, `${now + 900}`, '', 'tomorrow', true, null, undefined, [now + 900], {}])
    expect([exp, judge({ exp })]).toEqual([exp, 'refused']);
  for (const text of ['NaN', 'Infinity', '-1e999', `0x${(now + 900).toString(16)}`])
    expect([text, judgeText('exp', text)]).toEqual([text, 'refused']);
});

test('nbf, if present, must not be in the future', () => {
  for (const nbf of [now + 1, now + 900, `${now}`, null, 'now', [now - 1], true])
    expect([nbf, judge({ nbf })]).toEqual([nbf, 'refused']);
  expect(judge({ nbf: now - 1 })).toBe('accepted');
});

test('sub and sid must be ids', () => {
  for (const claim of ['sub', 'sid'])
    for (const id of ['', 'x', 7, null, undefined, {}, [goodClaims.sid], `${goodClaims.sid} `, "'; DROP TABLE users"])
      expect([claim, id, judge({ [claim]: id })]).toEqual([claim, id, 'refused']);
});

test('a scope that is not a string grants no scope', () => {
  for (const scope of [undefined, null, ['profile'], { profile: true }, 7]) {
    const principal = () => service.verify(service.craft(header(), { ...goodClaims, scope }));
    const scopes = judge({ scope }) === 'accepted' ? principal().scopes : [];
    expect(scopes).not.toContain('profile');
  }
});

describe('after any change,', () => {
  const bytes = (text: string) => Buffer.from(text, 'base64url');
  const anything = fc.jsonValue({ maxDepth: 2 });

  test('a signature with a flipped bit is refused', () => {
    const [head, body, signature = ''] = good.split('.');
    for (let bit = 0; bit < 512; bit += 1) {
      const changed = bytes(signature);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(verdict(service.verify, `${head}.${body}.${changed.toString('base64url')}`)).toBe('refused');
    }
  });

  test('a signature of another length, of zeros, or in DER is refused', () => {
    const [head, body, signature = ''] = good.split('.');
    const raw = bytes(signature);
    const integer = (part: Buffer) => Buffer.concat([Buffer.from([2, part.length + 1, 0]), part]);
    const pair = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
    const der = Buffer.concat([Buffer.from([0x30, pair.length]), pair]);
    const zero = Buffer.alloc(32);
    const half = raw.subarray(0, 32);
    const others = [der, Buffer.alloc(64), Buffer.concat([zero, half]), Buffer.concat([half, zero]), Buffer.alloc(0)];
    for (const other of [...others, raw.subarray(0, 63), Buffer.concat([raw, Buffer.alloc(1)]), Buffer.alloc(64, 255)])
      expect(verdict(service.verify, `${head}.${body}.${other.toString('base64url')}`)).toBe('refused');
  });

  test('a token has one valid encoding', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = good.at(-1) ?? '';
    const sameBytes = Array.from(alphabet).filter(
      (other) => other !== last && bytes(`A${other}`).equals(bytes(`A${last}`)),
    );
    expect(sameBytes).toHaveLength(15); // four stray bits
    const aliases = sameBytes.map((other) => good.slice(0, -1) + other);
    aliases.push(`${good}=`, `${good}==`, `${good}\n`, ` ${good}`, good.replace('.', ' .'), good.replace('.', '=.'));
    const dashed = good.replaceAll('-', '+').replaceAll('_', '/');
    if (dashed !== good) aliases.push(dashed);
    for (const alias of aliases) expect([alias, verdict(service.verify, alias)]).toEqual([alias, 'refused']);
  });

  test('a token with one character changed, removed or added is refused', () => {
    const character = fc.constantFrom(...Array.from('ABYZabyz0189-_.=+/ \n\0é'));
    fc.assert(
      fc.property(fc.nat(good.length - 1), character, fc.nat(2), (at, other, edit) => {
        const end = good.slice(at + (edit === 2 ? 0 : 1));
        const changed = good.slice(0, at) + (edit === 1 ? '' : other) + end;
        fc.pre(changed !== good);
        expect(verdict(service.verify, changed)).toBe('refused');
      }),
      { numRuns: 1500 },
    );
  });

  test('random text is refused', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), (parts) => {
        expect(verdict(service.verify, parts.join('.'))).toBe('refused');
      }),
    );
  });

  test('another alg, typ or kid is refused despite a valid signature', () => {
    fc.assert(
      fc.property(fc.constantFrom('alg', 'typ', 'kid'), anything, (name, value) => {
        const changed = { ...header(), [name]: value };
        expect(verdict(service.verify, service.craft(changed, goodClaims))).toBe('refused');
      }),
      { numRuns: 300 },
    );
  });

  test('an invalid iss, aud, exp, nbf, sub or sid is refused despite a valid signature', () => {
    const time = fc.oneof(fc.integer({ max: now }), fc.double({ max: now }), fc.string(), fc.constant([now + 900]));
    const change = fc.oneof(
      fc.record({
        name: fc.constantFrom('iss', 'aud', 'sub', 'sid', 'exp', 'nbf'),
        value: fc.oneof(fc.string(), fc.constant({}), fc.constant(null), fc.boolean()),
      }),
      fc.record({ name: fc.constant('exp'), value: time }),
      fc.record({ name: fc.constant('nbf'), value: fc.integer({ min: now + 1 }) }),
    );
    fc.assert(
      fc.property(change, ({ name, value }) => expect(judge({ [name]: value })).toBe('refused')),
      { numRuns: 500 },
    );
  });

  test('random claims with a valid signature never cause an internal error', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(goodClaims), '__proto__', 'cnf', 'toString'),
        anything,
        (name, value) => {
          const token = service.craft(
            header(),
            JSON.stringify(goodClaims).replace('{', `{${JSON.stringify(name)}:${JSON.stringify(value)},`),
          );
          expect(['accepted', 'refused']).toContain(verdict(service.verify, token));
          expect(['accepted', 'refused']).toContain(judge({ [name]: value }));
        },
      ),
      { numRuns: 300 },
    );
  });
});
