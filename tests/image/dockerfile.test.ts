// The image's test is worth what its reading of the Dockerfile is worth.
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

test('what comes from the context is private, as from a checkout under umask 077', async () => {
  await chmod(join(folder, 'kept/a'), 0o755);
  const { root } = await build('COPY kept b');
  expect((await stat(join(root, 'b/a'))).mode & 0o777).toBe(0o700);
});

test.each([
  ['an unknown instruction', 'ADD kept b', /line 2, ADD: is not known/],
  ['an unknown flag', 'COPY --chown=1 kept b', /COPY: --chown is not known/],
  ['a line that is none', 'what-is-this', /line 2: not an instruction/],
  ['an end in the middle', 'RUN true \\', /goes on after the end/],
  ['a file that is not there', 'COPY nowhere b', /nowhere is not in the context/],
  ['a file that .dockerignore leaves out', 'COPY .env b', /\.env is not in the context/],
  ['a stage that is not there', 'COPY --from=one /a b', /no such stage/],
  ['an image without a tag', 'FROM base', /no image with a tag/],
  ['a shell around the program', 'CMD node main', /not a JSON list of words/],
  ['a command that fails', 'RUN true && false', /exited with 1/],
  ['a command that fails in the middle', 'RUN false; true', /exited with 1/],
  ['an absolute path in a command', 'RUN touch /x', /may reach out of the stage/],
  ['a way up in a command', 'RUN touch ../x', /may reach out of the stage/],
  ['a variable in a command', 'RUN touch $HOME/x', /may reach out of the stage/],
  ['a user by name', 'USER node', /not understood: node/],
])('%s is refused', async (_, line, message) => {
  await expect(build(line)).rejects.toThrow(message);
});

test('.dockerignore: the last rule that names a path or a folder above it decides', () => {
  const rules = parseIgnoreFile('# comment\n*\n!src\nsrc/generated\n**/*.log\n!keep/?.log');
  const kept = ['src/a.ts', 'src/b/c.ts', 'keep/a.log'];
  const left = ['.env', '.git/config', 'node_modules/a/b', 'src/generated/a.ts', 'src/b/x.log', 'keep/ab.log', 'srcs'];
  expect([...kept, ...left].filter((path) => isKept(path, rules))).toEqual(kept);
});
