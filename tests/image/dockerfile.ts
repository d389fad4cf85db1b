// Reads a Dockerfile and runs its stages in folders: what `docker build` does, where there is no container engine. It
// knows the instructions that ours uses and refuses all others, so that none is passed over. The base image's own files
// are not there: RUN takes the tools of this machine, and may name relative paths only.
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

/** A stage as far as it is built, and the configuration that its containers get. */
export interface Image {
  /** The folder that stands for the container's `/`. */
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

const fault = ({ line, keyword }: Pick<Instruction, 'line' | 'keyword'>, what: string) =>
  new Error(`Dockerfile line ${line}, ${keyword}: ${what}`);

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
  if (open) throw new Error(`Dockerfile line ${open.line}: goes on after the end of the file`);
  return instructions;
}

function parseInstruction(text: string, line: number): Instruction {
  const [, keyword = '', given = '', rest = ''] = /^(\w+)((?:\s+--[\w-]+=\S+)*)\s+(.+)$/.exec(text) ?? [];
  if (!keyword) throw new Error(`Dockerfile line ${line}: not an instruction: ${text}`);
  const flags = Object.fromEntries(
    [...given.matchAll(/--([\w-]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );
  const unknown = Object.keys(flags).find((name) => !knownFlags[keyword]?.includes(name));
  if (unknown) throw fault({ line, keyword }, `--${unknown} is not known`);
  return { line, keyword, flags, rest: rest.trim() };
}

/** `["program", "argument"]`. The other form would put a shell between the signal and the program. */
function execForm(instruction: Instruction, text: string): string[] {
  const words: unknown = text.startsWith('[') ? JSON.parse(text) : undefined;
  if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string')) return words;
  throw fault(instruction, `not a JSON list of words: ${text}`);
}

/** `NAME=value OTHER="a value"`, without references to other variables. */
function pairs(instruction: Instruction): Record<string, string> {
  const pair = /\s*([\w.-]+)=(?:"([^"$\\]*)"|([^\s"$\\]+))/y;
  const found: Record<string, string> = {};
  while (pair.lastIndex < instruction.rest.length) {
    const [, name, quoted, bare] = pair.exec(instruction.rest) ?? [];
    if (name === undefined) throw fault(instruction, `not name=value: ${instruction.rest}`);
    found[name] = quoted ?? bare ?? '';
  }
  return found;
}

function only(instruction: Instruction, pattern: RegExp): string {
  if (!pattern.test(instruction.rest)) throw fault(instruction, `not understood: ${instruction.rest}`);
  return instruction.rest;
}

interface Build {
  /** Where the stages' folders are made. */
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
  if (!parent && !source.includes(':')) throw fault(instruction, `no stage, and no image with a tag: ${source}`);
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
  if (words.length === 0 || /[*?[$"]/.test(instruction.rest)) throw fault(instruction, 'not plain paths');
  const into = target.endsWith('/');
  if (words.length > 1 && !into) throw fault(instruction, 'several sources need a target that ends in /');
  const stage = instruction.flags['from'] === undefined ? undefined : build.stages.get(instruction.flags['from']);
  if ('from' in instruction.flags && !stage) throw fault(instruction, 'no such stage');
  for (const source of words) {
    const targetFor = (isFolder: boolean) => inside(image, into && !isFolder ? target + basename(source) : target);
    if (stage) {
      if (!source.startsWith('/')) throw fault(instruction, `not absolute: ${source}`);
      const path = join(stage.root, source);
      await cp(path, targetFor((await stat(path)).isDirectory()), { recursive: true, verbatimSymlinks: true });
    } else if (!(await copyFromContext(build.context, source, targetFor))) {
      throw fault(instruction, `${source} is not in the context: it is not there, or .dockerignore leaves it out`);
    }
  }
}

/** As from a checkout under umask 077, which is the strictest that there is. */
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

/** What npm needs to reach its registry on this machine. */
const passedOn = /^(PATH|HOME|NODE_EXTRA_CA_CERTS|(https?|no)_proxy|npm_config_(registry|cache|userconfig))$/i;

async function run(image: Image, instruction: Instruction): Promise<void> {
  if (/(^|[\s=:"'])(\/|~|\.\.|\$)/.test(instruction.rest) || /<</.test(instruction.rest))
    throw fault(instruction, 'may reach out of the stage: only relative paths, no variables, no here-documents');
  if (image.user !== 'root') throw fault(instruction, 'after USER, which is not looked after here');
  const machine = Object.entries(process.env).filter(([name]) => passedOn.test(name));
  // -e: a command that fails in the middle of a line must not go unseen, as it does with Docker's own `sh -c`.
  const child = spawn('/bin/sh', ['-ec', `umask 022; ${instruction.rest}`], {
    cwd: inside(image, '.'),
    env: { ...Object.fromEntries(machine), npm_config_prefer_offline: 'true', ...image.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw fault(instruction, `exited with ${code}: ${instruction.rest}\n${output}`);
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
      throw fault(instruction, 'is not known');
  }
}

/** Runs every stage below `folder` and returns the last one. */
export async function buildImage(dockerfile: string, context: BuildContext, folder: string): Promise<Image> {
  const build: Build = { folder, context, stages: new Map() };
  let image: Image | undefined;
  for (const instruction of parseDockerfile(dockerfile)) {
    if (instruction.keyword === 'FROM') image = await from(build, instruction);
    else if (image) await apply(build, image, instruction);
    else throw fault(instruction, 'before the first FROM');
  }
  if (!image) throw new Error('a Dockerfile without a stage');
  return image;
}
