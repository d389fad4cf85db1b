// The files of an embedded Postgres: a cluster in a folder that this process locks. initdb creates it at the first use.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { access, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { randomSecret } from '../lib/secrets.ts';
import { acquireProcessLock, removeWhenReleased, type ProcessLock } from './process-lock.ts';
import { findPostgresBinaries, postgresAccount, type Account } from './postgres-binaries.ts';

export interface Cluster {
  data: string;
  log: string;
  password: string;
  postgres: string;
  account: Account;
  /** Every process that uses the cluster must inherit them. */
  locks: ProcessLock[];
}

/** The environment of Postgres, without PGOPTIONS and secrets of this process. */
export const postgresEnvironment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

/** Adds to `locks`, which the caller must release, also if this function throws. */
export async function openCluster(folder: string, durable: boolean, locks: ProcessLock[]): Promise<Cluster> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!durable && (await readdir(folder)).length > 0) {
    throw new Error('the folder is not empty, and a temporary server removes its folder. Choose another folder.');
  }
  locks.push(await acquireProcessLock(join(folder, 'lock')));
  if (!durable) locks.push(removeWhenReleased(folder));

  const data = join(folder, 'cluster');
  const passwordFile = join(folder, 'password');
  const account = await postgresAccount(data);
  const binaries = await findPostgresBinaries(account);
  locks.push(...binaries.locks);
  const isNew = await access(data).then(
    () => false,
    () => true,
  );
  if (isNew) await initialize({ data, passwordFile, account, initdb: binaries.initdb, durable, locks });
  // The owner has ended, because this process has the lock. But another process may have its pid now, and Postgres would not start.
  await rm(join(data, 'postmaster.pid'), { force: true });
  const password = await readFile(passwordFile, 'utf8');
  return { data, log: join(folder, 'postgres.log'), password, postgres: binaries.postgres, account, locks };
}

interface NewCluster {
  data: string;
  passwordFile: string;
  account: Account;
  initdb: string;
  durable: boolean;
  locks: ProcessLock[];
}

/** Creates the cluster under another name until it is complete, so that an interrupted initdb never leaves a broken cluster. */
async function initialize({ data, passwordFile, account, initdb, durable, locks }: NewCluster): Promise<void> {
  const draft = `${data}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, randomSecret(24).toString('base64url'), { mode: 0o600 });
  if (account.uid !== undefined) {
    await chown(draft, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const login = ['--username=postgres', '--auth=scram-sha-256', '--pwfile=/dev/fd/3'];
  const flags = [`--pgdata=${pathForPostgres(draft, account)}`, ...login, ...locale, ...(durable ? [] : ['--no-sync'])];
  const password = openSync(passwordFile, 'r');
  const child = spawn(initdb, flags, {
    ...account,
    cwd: draft,
    env: postgresEnvironment,
    stdio: ['ignore', 'ignore', 'pipe', password, ...locks.map((lock) => lock.inherit)],
  });
  closeSync(password);
  const errors = child.stderr ? text(child.stderr) : '';
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error(`initdb failed:\n${(await errors).trim()}`);
  await rename(draft, data);
}

/**
 * The path of `folder` for Postgres, whose working directory it is. Another user may not be allowed to enter the parents of a folder of
 * root. The working directory is set before the user changes, and this path does not go through its parents.
 */
export const pathForPostgres = (folder: string, account: Account): string =>
  account.uid !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : folder;
