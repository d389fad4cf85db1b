// Where the Redis server of the tests comes from: the PATH, else Debian's packages, unpacked without being installed.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { removeWhenReleased } from '../../src/dev/process-lock.ts';

export interface RedisBinary {
  program: string;
  /** What it must find in its environment. */
  env: Record<string, string>;
}

interface Places {
  /** Where to look for an installed program. */
  path?: string;
  /** Where an unpacked one is kept. */
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
    const kept = resolve(cache);
    return (await findUnpacked(kept)) ?? (await unpackInto(kept));
  } catch (cause) {
    const reason = `no redis-server on the PATH, and Debian's could not be unpacked (${oneLine(cause)})`;
    const advice = 'install redis-server or valkey-server; for tests that only share a Redis, REDIS_URL may name one';
    throw new Error(`${reason}: ${advice}`, { cause });
  }
}

async function firstProgram(folders: string[]): Promise<string | undefined> {
  for (const candidate of folders.flatMap((folder) => PROGRAMS.map((name) => join(folder, name)))) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
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

/** In a folder of its own until it is known to run, so that runs which start at once do not meet. */
async function unpackInto(target: string): Promise<RedisBinary> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.`);
  const hold = removeWhenReleased(work);
  try {
    const root = join(work, 'root');
    for (const archive of await download(work)) await run('dpkg-deb', ['--extract', archive, root]);
    const draft = await findUnpacked(root);
    if (!draft) throw new Error('the packages hold no redis-server');
    await run(draft.program, ['--version'], draft.env);
    await rename(root, target).catch(unlessAnotherRunWasFirst);
  } finally {
    await hold.release();
  }
  const unpacked = await findUnpacked(target);
  if (!unpacked) throw new Error(`${target} holds something else: remove it`);
  return unpacked;
}

function unlessAnotherRunWasFirst(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}

/** The archives of redis-server and of those of its dependencies that this system lacks. */
async function download(work: string): Promise<string[]> {
  const config = join(work, 'apt.conf');
  const archives = join(work, 'cache/archives');
  await writeFile(config, aptConfig(work));
  for (const folder of [join(work, 'state/lists/partial'), join(archives, 'partial')]) {
    await mkdir(folder, { recursive: true });
  }
  await run('apt-get', ['-c', config, 'update']);
  // --reinstall: a redis-tools that is installed lies elsewhere than where the server that we unpack looks for it
  await run('apt-get', ['-c', config, 'install', '--download-only', '--reinstall', '--yes', 'redis-server']);
  return (await readdir(archives)).filter((name) => name.endsWith('.deb')).map((name) => join(archives, name));
}

/** The system's sources and its list of what is installed; all that apt writes goes into `work`. Hooks may not run. */
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

const PATIENCE_MS = 180_000;

async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const options = { env: { ...process.env, ...env, LC_ALL: 'C' }, timeout: PATIENCE_MS };
  await promisify(execFile)(program, args, options);
}

/** apt's own words where it has some. */
function oneLine(error: unknown): string {
  const { message, stderr = '' } = error as { message: string; stderr?: string };
  const complaint = stderr.split('\n').find((line) => line.startsWith('E: '));
  return complaint?.slice('E: '.length) ?? message.trim().split('\n')[0] ?? '';
}
