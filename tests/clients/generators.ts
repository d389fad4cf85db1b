// The generators that docs/clients.md names: what each needs, how its client is compiled, and how it is walked.
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { binOf, installPython } from '../support/python.ts';

const run = promisify(execFile);
const page = 'docs/clients.md';
const cache = 'node_modules/.cache/keyturn/clients';

type Command = readonly [program: string, ...args: string[]];

export interface Generator {
  /** Its folder beside this file, and the word after `sh` where the page has its command. */
  name: string;
  /** Programs without which it is not run. */
  needs: readonly string[];
  /** Puts the pinned packages into the folder. */
  install?(folder: string): Promise<unknown>;
  compile: readonly Command[];
  walk: Command;
}

const ci = (folder: string) => runIn(folder, ['npm', 'ci', '--prefer-offline']);
const typescript = {
  needs: ['npm', 'npx'],
  install: ci,
  compile: [['npx', 'tsc', '--pretty', 'false']],
  walk: ['node', 'built/walk.js'],
} as const;

export const generators: readonly Generator[] = [
  { name: 'openapi-fetch', ...typescript },
  { name: 'hey-api', ...typescript },
  {
    name: 'openapi-python-client',
    needs: ['python3'],
    install: async (folder) => installPython(join(folder, 'venv'), join(folder, 'requirements.txt')),
    compile: [
      ['python', '-m', 'compileall', '-q', 'keyturn'],
      ['mypy', '--strict', '--follow-imports', 'silent', 'walk.py'],
    ],
    walk: ['python', 'walk.py'],
  },
  {
    name: 'openapi-generator',
    needs: ['mvn', 'java'],
    // What was generated is compiled, and not once more.
    compile: [['mvn', '--quiet', '--batch-mode', '-Dcodegen.skip', 'package']],
    walk: ['java', '-cp', 'target/walk.jar:target/dependency/*', 'Walk'],
  },
  {
    name: 'oapi-codegen',
    needs: ['go'],
    compile: [
      ['go', 'build', '-mod=readonly', '-o', 'walk', '.'],
      ['go', 'vet', '.'],
    ],
    walk: ['./walk'],
  },
];

export const folderOf = ({ name }: Generator): string => resolve(cache, name);

/** What it printed. Where it fails, all of it is told: compilers talk on either stream. */
export async function runIn(folder: string, [program, ...args]: Command): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${join(folder, binOf('venv'))}${delimiter}${process.env['PATH']}`,
    // The page may name no other versions than those that are installed here.
    npm_config_yes: 'false',
    ...(program === 'sh' ? { PIP_NO_INDEX: '1' } : {}),
  };
  try {
    return (await run(program, args, { cwd: folder, env, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')} failed in ${folder}:\n${stdout}${stderr}`, { cause: error });
  }
}

/** The page's blocks of code by the word after their language. */
export async function documented(language: string): Promise<Record<string, string>> {
  const blocks = (await readFile(page, 'utf8')).matchAll(/^```(\w+) (\S+)\n(.*?)^```/gms);
  return Object.fromEntries(
    [...blocks].filter(([, named]) => named === language).map(([, , name = '', code = '']) => [name, code]),
  );
}

/** What was generated or compiled before. */
const made = ['keyturn', 'keyturn.d.ts', 'built', 'target', 'walk'];

/** Makes its folder, which later runs find again, and installs what is pinned. */
export async function prepare(generator: Generator): Promise<void> {
  const folder = folderOf(generator);
  await mkdir(folder, { recursive: true });
  for (const name of made) await rm(join(folder, name), { recursive: true, force: true });
  await cp(join('tests/clients', generator.name), folder, { recursive: true });
  await cp('openapi.yaml', join(folder, 'openapi.yaml'));
  await generator.install?.(folder);
}

/** Generates by the page's command. */
export async function generate(generator: Generator): Promise<void> {
  const { [generator.name]: command } = await documented('sh');
  if (command === undefined) throw new Error(`${page} has no command for ${generator.name}`);
  await runIn(folderOf(generator), ['sh', '-e', '-c', command]);
}

export async function compile(generator: Generator): Promise<void> {
  for (const command of generator.compile) await runIn(folderOf(generator), command);
}

/** The lines that its program prints. */
export async function walk(generator: Generator, baseUrl: string, email: string, password: string) {
  const printed = await runIn(folderOf(generator), [...generator.walk, baseUrl, email, password]);
  return printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
}
