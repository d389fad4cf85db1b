import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { verifiers } from '../interop/verifiers.ts';

const text = await readFile('docs/verifying-tokens.md', 'utf8');
/** The path and the code of each linked file that is followed by a code block. */
const codeBlocks = [...text.matchAll(/^\[`(examples\/[^`]+)`\]\(\.\.\/\1\)\n\n```\w+\n([\s\S]*?)```$/gm)].map(
  ([, path = '', code = '']): [string, string] => [path, code],
);

test.each(codeBlocks)('the documented code of %s equals the file', async (path, code) => {
  expect(code).toBe(await readFile(path, 'utf8'));
});

test('every example program is documented and tested', async () => {
  const folders = new Set(await readdir('examples/verify'));
  expect(new Set(codeBlocks.map(([path]) => path.split('/')[2]))).toEqual(folders);
  expect(new Set(verifiers.map(({ name }) => name))).toEqual(folders);
  expect(text.match(/examples\/verify/g)).toHaveLength(codeBlocks.length * 2);
});

test('the table lists the tested algorithms of every program', () => {
  const rows = [...text.matchAll(/^\| \[([\w-]+)\]\(#[^)]+\) +\| ([^|]+?) +\|/gm)].map(([, name, algs]) => [
    name,
    algs,
  ]);
  expect(rows).toEqual(verifiers.map(({ name, algs }) => [name, algs.join(', ')]));
});

test('links to headings are valid', () => {
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
