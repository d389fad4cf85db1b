// Runs the stages of a Dockerfile in folders, like `docker build` without a container engine. Supports only the instructions of this
// repository's Dockerfile and rejects all others. The files of the base image are missing: RUN uses the tools of this machine and
// relative paths only.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import type { BuildContext } from './build-context.ts';

interface Instruction {
  line: number;
  keyword: string;
  flags: Record<string, string>;
  rest: string;
}

/** A stage during the build, and the configuration of its containers. */
export interface Image {
  /** The folder that represents `/` of the container. */
  root: string;
  /** The image below all stages. */
  base: string;
  workdir: string;
  env: Record<string, string>;
  labels: Record<string, string>;
  exposed: number[];
  user: string;
  stopSignal: string;
  healthcheck: string[];
  command: string[];
}

const knownFlags: Record<string, readonly string[]> = {
  COPY: ['from'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period'],
};

const errorAt = ({ line, keyword }: Pick<Instruction, 'line' | 'keyword'>, problem: string) =>
  new Error(`Dockerfile line ${line}, ${keyword}: ${problem}`);

export function parseDockerfile(text: string): Instruction[] {
  const instructions: Instruction[] = [];
  let open: { line: number; text: string } | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    open = { line: open?.line ?? index + 1, text: (open?.text ?? '') + raw.replace(/\\\s*$/, '') };
    if (/\\\s*$/.test(raw)) continue;
    instructions.push(parseInstruction(open.text, open.line));
    open = undefined;
  }
  if (open) throw new Error(`Dockerfile line ${open.line}: continues after the end of the file`);
  return instructions;
}

function parseInstruction(text: string, line: number): Instruction {
  const [, keyword = '', given = '', rest = ''] = /^(\w+)((?:\s+--[\w-]+=\S+)*)\s+(.+)$/.exec(text) ?? [];
  if (!keyword) throw new Error(`Dockerfile line ${line}: not an instruction: ${text}`);
  const flags = Object.fromEntries(
    [...given.matchAll(/--([\w-]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );
  const unknown = Object.keys(flags).find((name) => !knownFlags[keyword]?.includes(name));
  if (unknown) throw errorAt({ line, keyword }, `unknown flag --${unknown}`);
  return { line, keyword, flags, rest: rest.trim() };
}

/** Parses `["program", "argument"]`. In shell form, a shell would receive the signals. */
function execForm(instruction: Instruction, text: string): string[] {
  const words: unknown = text.startsWith('[') ? JSON.parse(text) : undefined;
  if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string')) return words;
  throw errorAt(instruction, `not a JSON list of words: ${text}`);
}

/** Parses `NAME=value OTHER="a value"`, without variables in values. */
function pairs(instruction: Instruction): Record<string, string> {
  const pair = /\s*([\w.-]+)=(?:"([^"$\\]*)"|([^\s"$\\]+))/y;
  const found: Record<string, string> = {};
  while (pair.lastIndex < instruction.rest.length) {
    const [, name, quoted, bare] = pair.exec(instruction.rest) ?? [];
    if (name === undefined) throw errorAt(instruction, `not name=value: ${instruction.rest}`);
    found[name] = quoted ?? bare ?? '';
  }
  return found;
}

function only(instruction: Instruction, pattern: RegExp): string {
  if (!pattern.test(instruction.rest)) throw errorAt(instruction, `unsupported value: ${instruction.rest}`);
  return instruction.rest;
}

interface Build {
  /** The parent of the stages' folders. */
  folder: string;
  context: BuildContext;
  /** By name; the last one also by the empty name. */
  stages: Map<string, Image>;
}

const bareImage = (base: string, root: string): Image => ({
  root,
  base,
  workdir: '/',
  env: {},
  labels: {},
  exposed: [],
  user: 'root',
  stopSignal: 'SIGTERM',
  healthcheck: [],
  command: [],
});

async function from(build: Build, instruction: Instruction): Promise<Image> {
  const [, source = '', name = ''] = /^(\S+)(?: AS ([a-z]+))?$/.exec(instruction.rest) ?? [];
  const parent = build.stages.get(source);
  if (!parent && !source.includes(':'))
    throw errorAt(instruction, `neither a stage nor an image with a tag: ${source}`);
  const root = join(build.folder, name || 'final');
  await mkdir(root);
  const image = parent ? { ...structuredClone(parent), root } : bareImage(source, root);
  if (parent) await cp(parent.root, root, { recursive: true, verbatimSymlinks: true });
  build.stages.set(name, image);
  return image;
}

const inside = (image: Image, path: string) => join(image.root, posix.resolve(image.workdir, path));

async function copy(build: Build, image: Image, instruction: Instruction): Promise<void> {
  const words = instruction.rest.split(/\s+/);
  const target = words.pop() ?? '';
  if (words.length === 0 || /[*?[$"]/.test(instruction.rest)) throw errorAt(instruction, 'not plain paths');
  const into = target.endsWith('/');
  if (words.length > 1 && !into) throw errorAt(instruction, 'several sources need a target that ends in /');
  const stage = instruction.flags['from'] === undefined ? undefined : build.stages.get(instruction.flags['from']);
  if ('from' in instruction.flags && !stage) throw errorAt(instruction, 'unknown stage');
  for (const source of words) {
    const targetFor = (isFolder: boolean) => inside(image, into && !isFolder ? target + basename(source) : target);
    if (stage) {
      if (!source.startsWith('/')) throw errorAt(instruction, `not absolute: ${source}`);
      const path = join(stage.root, source);
      await cp(path, targetFor((await stat(path)).isDirectory()), { recursive: true, verbatimSymlinks: true });
    } else if (!(await copyFromContext(build.context, source, targetFor))) {
      throw errorAt(instruction, `${source} is not in the context: it is missing, or .dockerignore excludes it`);
    }
  }
}

/** Copies files with the modes of a checkout with umask 077, the strictest one. */
async function copyFromContext(
  { folder, files }: BuildContext,
  source: string,
  targetFor: (isFolder: boolean) => string,
): Promise<boolean> {
  const below = files.filter((file) => file === source || file.startsWith(`${source}/`));
  for (const file of below) {
    const target = file === source ? targetFor(false) : join(targetFor(true), file.slice(source.length));
    if (file !== source) await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await cp(join(folder, file), target);
    await chmod(target, (await stat(target)).mode & 0o700);
  }
  return below.length > 0;
}

/** The environment that npm requires to reach its registry. */
const inherited = /^(PATH|HOME|NODE_EXTRA_CA_CERTS|(https?|no)_proxy|npm_config_(registry|cache|userconfig))$/i;

async function run(image: Image, instruction: Instruction): Promise<void> {
  if (/(^|[\s=:"'])(\/|~|\.\.|\$)/.test(instruction.rest) || /<</.test(instruction.rest))
    throw errorAt(instruction, 'can leave the stage: use relative paths without variables and here-documents');
  if (image.user !== 'root') throw errorAt(instruction, 'RUN after USER is not supported');
  const machine = Object.entries(process.env).filter(([name]) => inherited.test(name));
  // -e detects a command that fails in the middle of a line, unlike Docker's `sh -c`.
  const child = spawn('/bin/sh', ['-ec', `umask 022; ${instruction.rest}`], {
    cwd: inside(image, '.'),
    env: { ...Object.fromEntries(machine), npm_config_prefer_offline: 'true', ...image.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw errorAt(instruction, `exited with ${code}: ${instruction.rest}\n${output}`);
}

async function apply(build: Build, image: Image, instruction: Instruction): Promise<void> {
  const { keyword, rest } = instruction;
  switch (keyword) {
    case 'WORKDIR':
      image.workdir = only(instruction, /^\/[\w/]+$/);
      return void (await mkdir(inside(image, '.'), { recursive: true }));
    case 'COPY':
      return copy(build, image, instruction);
    case 'RUN':
      return run(image, instruction);
    case 'ENV':
      return void Object.assign(image.env, pairs(instruction));
    case 'LABEL':
      return void Object.assign(image.labels, pairs(instruction));
    case 'USER':
      return void (image.user = only(instruction, /^\d+:\d+$/));
    case 'EXPOSE':
      return void image.exposed.push(Number(only(instruction, /^\d+$/)));
    case 'STOPSIGNAL':
      return void (image.stopSignal = only(instruction, /^SIG[A-Z]+$/));
    case 'HEALTHCHECK':
      return void (image.healthcheck = execForm(instruction, rest.replace(/^CMD\s+/, '')));
    case 'CMD':
      return void (image.command = execForm(instruction, rest));
    default:
      throw errorAt(instruction, 'unknown instruction');
  }
}

/** Runs every stage below `folder` and returns the last one. */
export async function buildImage(dockerfile: string, context: BuildContext, folder: string): Promise<Image> {
  const build: Build = { folder, context, stages: new Map() };
  let image: Image | undefined;
  for (const instruction of parseDockerfile(dockerfile)) {
    if (instruction.keyword === 'FROM') image = await from(build, instruction);
    else if (image) await apply(build, image, instruction);
    else throw errorAt(instruction, 'before the first FROM');
  }
  if (!image) throw new Error('the Dockerfile has no stage');
  return image;
}
