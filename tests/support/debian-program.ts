// Finds a program of the tests on the PATH, or downloads and unpacks Debian's packages without installing them: an installed server
// would also start.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { removeWhenReleased } from '../../src/dev/process-lock.ts';

export interface InstalledProgram {
  program: string;
  /** The environment variables that it requires. */
  env: Record<string, string>;
}

export interface WantedProgram {
  /** The Debian package. */
  debianPackage: string;
  /** The programs that serve, the package's own first. */
  names: readonly string[];
  /** The argument with which it runs and exits with 0. */
  versionFlag: string;
  /** What to do if it cannot be found. */
  advice: string;
}

export interface Places {
  /** The folders of installed programs. */
  path?: string;
  /** The folder of unpacked packages. */
  cache?: string;
}

export async function findProgram(wanted: WantedProgram, places: Places = {}): Promise<InstalledProgram> {
  const { path = `${process.env['PATH'] ?? ''}:/usr/sbin`, cache } = places;
  const program = await firstProgram(path.split(delimiter).filter(Boolean), wanted);
  if (program) return { program, env: {} };
  try {
    const folder = resolve(cache ?? `node_modules/.cache/keyturn/${wanted.debianPackage}`);
    return (await findUnpacked(folder, wanted)) ?? (await unpackInto(folder, wanted));
  } catch (cause) {
    const [name] = wanted.names;
    const reason = `${name} is not on the PATH, and Debian's package could not be unpacked (${oneLine(cause)})`;
    throw new Error(`${reason}. ${wanted.advice}`, { cause });
  }
}

async function firstProgram(folders: string[], { names }: WantedProgram): Promise<string | undefined> {
  for (const candidate of folders.flatMap((folder) => names.map((name) => join(folder, name)))) {
    const isExecutable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isExecutable) return candidate;
  }
  return undefined;
}

async function findUnpacked(root: string, wanted: WantedProgram): Promise<InstalledProgram | undefined> {
  const program = await firstProgram([join(root, 'usr/bin'), join(root, 'usr/sbin')], wanted);
  if (!program) return undefined;
  const files = await readdir(root, { recursive: true });
  const libraries = files.filter((name) => /\.so(\.|$)/.test(name)).map((name) => dirname(join(root, name)));
  return { program, env: { LD_LIBRARY_PATH: [...new Set(libraries)].join(':') } };
}

/** Unpacks in a temporary folder and renames it when the program runs, so that concurrent runs do not interfere. */
async function unpackInto(target: string, wanted: WantedProgram): Promise<InstalledProgram> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.`);
  const workFolder = removeWhenReleased(work);
  try {
    const root = join(work, 'root');
    for (const archive of await download(work, wanted.debianPackage))
      await run('dpkg-deb', ['--extract', archive, root]);
    const draft = await findUnpacked(root, wanted);
    if (!draft) throw new Error(`the packages do not contain ${wanted.names[0]}`);
    await run(draft.program, [wanted.versionFlag], draft.env);
    await rename(root, target).catch(ignoreIfExists);
  } finally {
    await workFolder.release();
  }
  const unpacked = await findUnpacked(target, wanted);
  if (!unpacked) throw new Error(`${target} does not contain ${wanted.names[0]}. Remove the folder`);
  return unpacked;
}

/** Another run has unpacked the same packages. */
function ignoreIfExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}

/** Downloads a package and its missing dependencies. Returns their paths. */
async function download(work: string, debianPackage: string): Promise<string[]> {
  const config = join(work, 'apt.conf');
  const archives = join(work, 'cache/archives');
  await writeFile(config, aptConfig(work));
  for (const folder of [join(work, 'state/lists/partial'), join(archives, 'partial')]) {
    await mkdir(folder, { recursive: true });
  }
  await run('apt-get', ['-c', config, 'update']);
  // --reinstall, because an unpacked program does not find the files of installed packages, such as redis-tools
  await run('apt-get', ['-c', config, 'install', '--download-only', '--reinstall', '--yes', debianPackage]);
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
