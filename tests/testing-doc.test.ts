// docs/testing.md: what it names is there, and what is there is named.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const page = readFileSync('docs/testing.md', 'utf8');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
const files = readdirSync('tests', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
  .map((name) => `tests/${name}`);

/** The second cell of each row that names a test: `` `file`: title ``. */
const named = [...page.matchAll(/^\|[^|]*\| `(tests\/[^`]+)`: (.+?) +\|$/gm)].map(([, file = '', title = '']) => ({
  file,
  title,
}));

/** What stands in a file where a test or a group gets its title, after `test(`, or after the table of a `test.each`. */
const titlesOf = (file: string): Set<string> => {
  const calls = /(?:\b(?:test|describe)|\))\(\s*(['"`])((?:(?!\1)[^\\\n]|\\.)+)\1/g;
  return new Set([...readFileSync(file, 'utf8').matchAll(calls)].map(([, , title = '']) => title));
};

test('every test that the page names is there', () => {
  expect(named.length).toBeGreaterThan(150);
  const absent = named.filter(({ file, title }) => !files.includes(file) || !titlesOf(file).has(title));
  expect(absent).toEqual([]);
});

test('every row is read, and every file, folder and command that the page names is there', () => {
  const rows = page.split('\n').filter((line) => /^\|.*`tests\/[^`]+\.test\.ts`/.test(line));
  expect(rows).toHaveLength(named.length);
  const paths = [...page.matchAll(/[` ]((?:tests|scripts|src|prisma|\.ci)\/[\w./-]+)/g)].map(([, path = '']) => path);
  const isThere = (path: string) => path === 'tests/browser/screenshots/' || existsSync(path);
  expect(paths.filter((path) => !isThere(path))).toEqual([]);
  const commands = [...page.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
  expect(commands.length).toBeGreaterThan(4);
  expect(commands.filter((name) => !(name in scripts))).toEqual([]);
});

test('every test file is named', () => {
  expect(files.length).toBeGreaterThan(70);
  const known = new Set(named.map(({ file }) => file));
  expect(files.filter((file) => !known.has(file))).toEqual([]);
});

test('every invariant has its part, and each of its tests is named', () => {
  const parts = [...page.matchAll(/^### (\d+)\. /gm)].map(([, number]) => Number(number));
  expect(parts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const numbered = files.flatMap((file) =>
    [...titlesOf(file)].filter((title) => /\(invariant \d+/.test(title)).map((title) => ({ file, title })),
  );
  expect(numbered.length).toBeGreaterThan(45);
  const isNamed = (test: { file: string; title: string }) =>
    named.some(({ file, title }) => file === test.file && title === test.title);
  expect(numbered.filter((test) => !isNamed(test))).toEqual([]);
});
