import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { idFromBytes, idToBytes, newId, parseId } from '../../src/lib/ids.ts';

jest.setTimeout(30_000);

test('an id is a UUIDv7 that starts with its creation time in milliseconds', () => {
  const id = newId(0x0197_a1b0_6d3c);
  expect(id).toMatch(/^0197a1b0-6d3c-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});

test('ids sort by creation time', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 41), fc.integer({ min: 1, max: 1000 }), (ms, later) => {
      expect(newId(ms) < newId(ms + later)).toBe(true);
    }),
  );
});

test('ids created in the same millisecond differ', () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newId(1_800_000_000_000))).size).toBe(10_000);
});

test('an id survives conversion to bytes and back', () => {
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      expect(idToBytes(id)).toHaveLength(16);
      expect(idFromBytes(idToBytes(id))).toBe(id);
    }),
  );
});

test('only the canonical form of an id is parsed', () => {
  const id = '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10';
  expect(parseId(id)).toBe(id);
  expect(parseId(id.toUpperCase())).toBe(id);
  for (const text of [
    '',
    id.replaceAll('-', ''),
    `{${id}}`,
    `${id} `,
    `${id}\n`,
    id.slice(1),
    `${id}0`,
    `urn:uuid:${id}`,
  ])
    expect(parseId(text)).toBeUndefined();
  expect(parseId(id.replace('0197', '019g'))).toBeUndefined();
});
