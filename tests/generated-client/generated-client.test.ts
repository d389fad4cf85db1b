// openapi.yaml as its readers use it: a client generated from it, type-checked in strict mode, on a walk through the API.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';

const run = promisify(execFile);
const here = resolve('tests/generated-client');
const tools = join(here, 'node_modules');

const compilerOptions = {
  target: 'es2023',
  lib: ['es2023', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  outDir: 'built',
};

/** Each is walk.ts with one mistake, and the compiler's words for it. */
const mistakes = {
  'a member of a body that is misspelt': ["display_name: 'Ada", "displayName: 'Ada", 'display_name'],
  'a body without a required member': ['body: { email, password } }', 'body: { email } }', 'password'],
  'a member of a body of another type': ['body: { email, password } }', 'body: { email, password: 1 } }', 'number'],
  'a member of an answer that is not there': ['refreshed.scope', 'refreshed.scopes', 'scopes'],
  'a path that is not there': ["GET('/me')", "GET('/account')", 'Expected 2 arguments'],
  'a method that a path does not take': ["GET('/me')", "POST('/me')", '/me'],
  'a query parameter of another type': ['limit: 1 }', "limit: 'one' }", 'string'],
  'a code that the operation never answers': ["=== 'email_taken'", "=== 'email_takn'", 'email_takn'],
  'a code of another operation': ["=== 'email_taken'", "=== 'invalid_refresh_token'", 'no overlap'],
  'an optional member taken for granted': ["ended.reason ?? 'not told'", 'ended.reason', 'undefined'],
} as const;

const mistakeFile = (index: number) => `mistake-${index}.ts`;

let folder: string;
let app: TestApp;
let compiled: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-client-'));
  const walk = await readFile(join(here, 'walk.ts'), 'utf8');
  await symlink(resolve('node_modules'), join(folder, 'node_modules'), 'junction');
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  await writeFile(join(folder, 'walk.ts'), walk);
  for (const [index, [right, wrong]] of Object.values(mistakes).entries()) {
    if (!walk.includes(right)) throw new Error(`walk.ts has no ${right}`);
    await writeFile(join(folder, mistakeFile(index)), walk.replace(right, wrong));
  }
  const generator = join(tools, 'openapi-typescript/bin/cli.js');
  await run(process.execPath, [generator, 'openapi.yaml', '--output', join(folder, 'keyturn.d.ts')]);
  compiled = await run(
    process.execPath,
    [join(tools, 'typescript/bin/tsc'), '--project', folder, '--pretty', 'false'],
    {
      cwd: folder,
    },
  ).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  );
  app = await startApp();
}, 60_000);

afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

/** What the compiler has against one of the programs. */
const faultsOf = (file: string): string =>
  compiled
    .split(/\n(?=\S)/)
    .filter((fault) => fault.startsWith(`${file}(`))
    .join('\n');

test('the walk and the generated types compile in strict mode', () => {
  expect(faultsOf('walk.ts')).toBe('');
  const files = [...new Set(compiled.match(/^[^\s(]+(?=\()/gm))];
  expect(files.sort()).toEqual(
    Object.keys(mistakes)
      .map((_, index) => mistakeFile(index))
      .sort(),
  );
});

test.each(Object.entries(mistakes).map(([mistake, [, , words]], index) => ({ mistake, words, index })))(
  '$mistake does not compile',
  ({ words, index }) => {
    expect(faultsOf(mistakeFile(index))).toContain(words);
  },
);

test('the walk from registration to logout meets what its types promise', async () => {
  const email = freshEmail();
  const { stdout } = await run(process.execPath, [join(folder, 'built/walk.js'), app.baseUrl, email, password]);
  const user = { email, display_name: 'Ada Lovelace', roles: ['user'], mfa_enabled: false };
  expect(JSON.parse(stdout)).toMatchObject({
    registered: user,
    me: user,
    sessions: [{ current: true }, { current: false }],
    scope: 'profile sessions',
    refreshedIsNew: true,
    refusals: [
      { code: 'email_taken', because: 'E-mail address taken' },
      { code: 'validation_failed', because: 'email' },
      { code: 'invalid_refresh_token', because: 'revoked' },
    ],
  });
});
