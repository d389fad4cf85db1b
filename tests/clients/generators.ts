// The generators in docs/clients.md, and how to compile and run a program with each generated client.
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
  /** The folder next to this file, and the name of the command's code block in docs/clients.md. */
  name: string;
  requires: readonly string[];
  /** Installs the pinned packages into the folder. */
  install?(folder: string): Promise<unknown>;
  compile: readonly Command[];
  program: Command;
}

const npmCi = (folder: string) => runIn(folder, ['npm', 'ci', '--prefer-offline']);
const typescript = {
  requires: ['npm', 'npx'],
  install: npmCi,
  compile: [['npx', 'tsc', '--pretty', 'false']],
  program: ['node', 'built/walk.js'],
} as const;

export const generators: readonly Generator[] = [
  { name: 'openapi-fetch', ...typescript },
  { name: 'hey-api', ...typescript },
  {
    name: 'openapi-python-client',
    requires: ['python3'],
    install: async (folder) => installPython(join(folder, 'venv'), join(folder, 'requirements.txt')),
    compile: [
      ['python', '-m', 'compileall', '-q', 'keyturn'],
      ['mypy', '--strict', '--follow-imports', 'silent', 'walk.py'],
    ],
    program: ['python', 'walk.py'],
  },
  {
    name: 'openapi-generator',
    requires: ['mvn', 'java'],
    // Does not generate the client again.
    compile: [['mvn', '--quiet', '--batch-mode', '-Dcodegen.skip', 'package']],
    program: ['java', '-cp', 'target/walk.jar:target/dependency/*', 'Walk'],
  },
  {
    name: 'oapi-codegen',
    requires: ['go'],
    compile: [
      ['go', 'build', '-mod=readonly', '-o', 'walk', '.'],
      ['go', 'vet', '.'],
    ],
    program: ['./walk'],
  },
];

export const folderOf = ({ name }: Generator): string => resolve(cache, name);

/** Runs a command and returns its standard output. Errors contain both streams, because compilers use either. */
export async function runIn(folder: string, [program, ...args]: Command): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${join(folder, binOf('venv'))}${delimiter}${process.env['PATH']}`,
    // Prevents downloads, so that the documented versions must equal the installed ones.
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

/** Returns the code blocks of docs/clients.md in a language, by their names. */
export async function codeBlocks(language: string): Promise<Record<string, string>> {
  const blocks = (await readFile(page, 'utf8')).matchAll(/^```(\w+) (\S+)\n(.*?)^```/gms);
  return Object.fromEntries(
    [...blocks]
      .filter(([, blockLanguage]) => blockLanguage === language)
      .map(([, , name = '', code = '']) => [name, code]),
  );
}

const generatedPaths = ['keyturn', 'keyturn.d.ts', 'built', 'target', 'walk'];

/** Creates a cached folder for the generator and installs the pinned packages. */
export async function prepare(generator: Generator): Promise<void> {
  const folder = folderOf(generator);
  await mkdir(folder, { recursive: true });
  for (const name of generatedPaths) await rm(join(folder, name), { recursive: true, force: true });
  await cp(join('tests/clients', generator.name), folder, { recursive: true });
  await cp('openapi.yaml', join(folder, 'openapi.yaml'));
  await generator.install?.(folder);
}

/** Generates the client with the command of docs/clients.md. */
export async function generate(generator: Generator): Promise<void> {
  const { [generator.name]: command } = await codeBlocks('sh');
  if (command === undefined) throw new Error(`${page} has no command for ${generator.name}`);
  await runIn(folderOf(generator), ['sh', '-e', '-c', command]);
}

export async function compile(generator: Generator): Promise<void> {
  for (const command of generator.compile) await runIn(folderOf(generator), command);
}

/** Runs the program and parses the lines that it prints. */
export async function runProgram(generator: Generator, baseUrl: string, email: string, password: string) {
  const printed = await runIn(folderOf(generator), [...generator.program, baseUrl, email, password]);
  return printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
}
