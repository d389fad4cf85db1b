import { expect, test } from '@jest/globals';
import { parseDuration } from '../../src/config/values.ts';

test.each([
  ['0', 0],
  ['0s', 0],
  ['1s', 1],
  ['90s', 90],
  ['15m', 900],
  ['12h', 43_200],
  ['30d', 2_592_000],
  ['999999d', 86_399_913_600],
])('%s is %d seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each([
  '',
  '1',
  '00',
  '15',
  'm',
  '15 m',
  ' 15m',
  '15m ',
  '15M',
  '1.5h',
  '-1s',
  '+1s',
  '1h30m',
  '1w',
  '1000000s',
  '15m\n',
])('%j is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
