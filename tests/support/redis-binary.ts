// Finds the Redis server of the tests on the PATH, or downloads and unpacks Debian's packages without installing them.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { removeWhenReleased } from '../../src/dev/process-lock.ts';

export interface RedisBinary {
  program: string;
  /** The environment variables that it requires. */
  env: Record<string, string>;
}

interface Places {
  /** The folders of installed programs. */
  path?: string;
  /** The folder of unpacked packages. */
  cache?: string;
}

const PROGRAMS = ['redis-server', 'valkey-server'];
const CACHE = 'node_modules/.cache/keyturn/redis';

export async function findRedis({
  path = process.env['PATH'] ?? '',
  cache = CACHE,
}: Places = {}): Promise<RedisBinary> {
  const program = await firstProgram(path.split(delimiter).filter(Boolean));
  if (program) return { program, env: {} };
  try {
    const folder = resolve(cache);
    return (await findUnpacked(folder)) ?? (await unpackInto(folder));
  } catch (cause) {
    const reason = `redis-server is not on the PATH, and Debian's package could not be unpacked (${oneLine(cause)})`;
    const advice = 'Install redis-server or valkey-server, or set REDIS_URL for the tests that share a Redis.';
    throw new Error(`${reason}. ${advice}`, { cause });
  }
}

async function firstProgram(folders: string[]): Promise<string | undefined> {
  for (const candidate of folders.flatMap((folder) => PROGRAMS.map((name) => join(folder, name)))) {
    const isExecutable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isExecutable) return candidate;
  }
  return undefined;
}

async function findUnpacked(root: string): Promise<RedisBinary | undefined> {
  const program = await firstProgram([join(root, 'usr/bin')]);
  if (!program) return undefined;
  const files = await readdir(root, { recursive: true });
  const libraries = files.filter((name) => /\.so(\.|$)/.test(name)).map((name) => dirname(join(root, name)));
  return { program, env: { LD_LIBRARY_PATH: [...new Set(libraries)].join(':') } };
}

/** Unpacks in a temporary folder and renames it when the program runs, so that concurrent runs do not interfere. */
async function unpackInto(target: string): Promise<RedisBinary> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.`);
  const workFolder = removeWhenReleased(work);
  try {
    const root = join(work, 'root');
    for (const archive of await download(work)) await run('dpkg-deb', ['--extract', archive, root]);
    const draft = await findUnpacked(root);
    if (!draft) throw new Error('the packages do not contain redis-server');
    await run(draft.program, ['--version'], draft.env);
    await rename(root, target).catch(ignoreIfExists);
  } finally {
    await workFolder.release();
  }
  const unpacked = await findUnpacked(target);
  if (!unpacked) throw new Error(`${target} does not contain redis-server. Remove the folder`);
  return unpacked;
}

/** Another run has unpacked the same packages. */
function ignoreIfExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}

/** Downloads the packages of redis-server and of its missing dependencies. Returns their paths. */
async function download(work: string): Promise<string[]> {
  const config = join(work, 'apt.conf');
  const archives = join(work, 'cache/archives');
  await writeFile(config, aptConfig(work));
  for (const folder of [join(work, 'state/lists/partial'), join(archives, 'partial')]) {
    await mkdir(folder, { recursive: true });
  }
  await run('apt-get', ['-c', config, 'update']);
  // --reinstall, because the unpacked server does not find the files of an installed redis-tools
  await run('apt-get', ['-c', config, 'install', '--download-only', '--reinstall', '--yes', 'redis-server']);
  return (await readdir(archives)).filter((name) => name.endsWith('.deb')).map((name) => join(archives, name));
}

/** Uses the system's package sources and its list of installed packages. Writes only to `work` and runs no hooks. */
const aptConfig = (work: string): string => `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
Dir::State "${work}/state";
Dir::State::lists "lists";
Dir::Cache "${work}/cache";
Dir::Cache::archives "archives";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
`;

const TIMEOUT_MS = 180_000;

async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const options = { env: { ...process.env, ...env, LC_ALL: 'C' }, timeout: TIMEOUT_MS };
  await promisify(execFile)(program, args, options);
}

/** The error message of apt, if it printed one. */
function oneLine(error: unknown): string {
  const { message, stderr = '' } = error as { message: string; stderr?: string };
  const aptError = stderr.split('\n').find((line) => line.startsWith('E: '));
  return aptError?.slice('E: '.length) ?? message.trim().split('\n')[0] ?? '';
}
