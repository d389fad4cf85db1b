// Tests the Dockerfile interpreter on which the tests of the image depend.
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isKept, parseIgnoreFile, readContext } from './build-context.ts';
import { buildImage } from './dockerfile.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-dockerfile-'));
  await mkdir(join(folder, 'stages'));
  const files = { '.dockerignore': '*\n!kept\nkept/not', 'kept/a': 'one', 'kept/not': 'two', '.env': 'three' };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
});
afterEach(() => rm(folder, { recursive: true }));

const build = async (...lines: string[]) =>
  buildImage(['FROM base:1', ...lines].join('\n'), await readContext(folder), join(folder, 'stages'));

test('stages copy from the context and from each other, and run their commands', async () => {
  const image = await buildImage(
    `# a comment
FROM base:1 AS one
WORKDIR /app
COPY kept b
RUN mkdir c && \\
# inside a command
    mv b/a c
FROM one AS two
RUN echo more >> c/a
FROM base:2
WORKDIR /srv
COPY --from=two /app/c ./d
COPY --from=one /app/c/a e/
ENV A=1 B="2 3"
USER 1:2
CMD ["x", "y z"]
`,
    await readContext(folder),
    join(folder, 'stages'),
  );
  expect(await readFile(join(image.root, 'srv/d/a'), 'utf8')).toBe('onemore\n');
  expect(await readFile(join(image.root, 'srv/e/a'), 'utf8')).toBe('one');
  expect(image).toMatchObject({
    base: 'base:2',
    workdir: '/srv',
    env: { A: '1', B: '2 3' },
    user: '1:2',
    command: ['x', 'y z'],
  });
});

test('files from the context are private, like a checkout with umask 077', async () => {
  await chmod(join(folder, 'kept/a'), 0o755);
  const { root } = await build('COPY kept b');
  expect((await stat(join(root, 'b/a'))).mode & 0o777).toBe(0o700);
});

test.each([
  ['an unknown instruction', 'ADD kept b', /line 2, ADD: unknown instruction/],
  ['an unknown flag', 'COPY --chown=1 kept b', /COPY: unknown flag --chown/],
  ['a line that is not an instruction', 'what-is-this', /line 2: not an instruction/],
  ['a line continuation at the end', 'RUN true \\', /continues after the end/],
  ['a missing file', 'COPY nowhere b', /nowhere is not in the context/],
  ['a file that .dockerignore excludes', 'COPY .env b', /\.env is not in the context/],
  ['an unknown stage', 'COPY --from=one /a b', /unknown stage/],
  ['an image without a tag', 'FROM base', /nor an image with a tag/],
  ['a command in shell form', 'CMD node main', /not a JSON list of words/],
  ['a command that fails', 'RUN true && false', /exited with 1/],
  ['a command that fails in the middle', 'RUN false; true', /exited with 1/],
  ['an absolute path in a command', 'RUN touch /x', /can leave the stage/],
  ['a parent path in a command', 'RUN touch ../x', /can leave the stage/],
  ['a variable in a command', 'RUN touch $HOME/x', /can leave the stage/],
  ['a user by name', 'USER node', /unsupported value: node/],
])('%s is rejected', async (_, line, message) => {
  await expect(build(line)).rejects.toThrow(message);
});

test('in .dockerignore the last rule that matches a path or a parent folder decides', () => {
  const rules = parseIgnoreFile('# comment\n*\n!src\nsrc/generated\n**/*.log\n!keep/?.log');
  const kept = ['src/a.ts', 'src/b/c.ts', 'keep/a.log'];
  const excluded = [
    '.env',
    '.git/config',
    'node_modules/a/b',
    'src/generated/a.ts',
    'src/b/x.log',
    'keep/ab.log',
    'srcs',
  ];
  expect([...kept, ...excluded].filter((path) => isKept(path, rules))).toEqual(kept);
});
