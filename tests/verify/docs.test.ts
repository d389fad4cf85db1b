import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { verifiers } from '../interop/verifiers.ts';

const text = await readFile('docs/verifying-tokens.md', 'utf8');
/** A link to a file with a block of code below it: path and code. */
const shown = [...text.matchAll(/^\[`(examples\/[^`]+)`\]\(\.\.\/\1\)\n\n```\w+\n([\s\S]*?)```$/gm)].map(
  ([, path = '', code = '']): [string, string] => [path, code],
);

test.each(shown)('the code of %s is the file', async (path, code) => {
  expect(code).toBe(await readFile(path, 'utf8'));
});

test('every program is shown, and tested', async () => {
  const folders = new Set(await readdir('examples/verify'));
  expect(new Set(shown.map(([path]) => path.split('/')[2]))).toEqual(folders);
  expect(new Set(verifiers.map(({ name }) => name))).toEqual(folders);
  expect(text.match(/examples\/verify/g)).toHaveLength(shown.length * 2);
});

test('the table says which JWT_ALG each can do, as it is tested', () => {
  const rows = [...text.matchAll(/^\| \[([\w-]+)\]\(#[^)]+\) +\| ([^|]+?) +\|/gm)].map(([, name, algs]) => [
    name,
    algs,
  ]);
  expect(rows).toEqual(verifiers.map(({ name, algs }) => [name, algs.join(', ')]));
});

test('its links lead to its headings', () => {
  const anchors = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
  const linked = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  expect(linked.length).toBeGreaterThan(10);
  expect(linked.filter((anchor) => !anchors.includes(anchor ?? ''))).toEqual([]);
});
