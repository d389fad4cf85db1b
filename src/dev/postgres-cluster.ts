// The files of an embedded Postgres: one cluster in its folder, locked for this process, made by initdb on first use.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { access, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
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
  /** To be inherited by every process that uses the cluster. */
  holds: ProcessLock[];
}

/** What Postgres gets of the environment: a PGOPTIONS or a secret of ours is none of its business. */
export const POSTGRES_ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

/** Adds to `holds` what the caller must release, also when this throws. */
export async function openCluster(folder: string, durable: boolean, holds: ProcessLock[]): Promise<Cluster> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!durable && (await readdir(folder)).length > 0) {
    throw new Error('a throw-away server removes its folder, and this one is not empty: name another');
  }
  holds.push(await acquireProcessLock(join(folder, 'lock')));
  if (!durable) holds.push(removeWhenReleased(folder));

  const data = join(folder, 'cluster');
  const passwordFile = join(folder, 'password');
  const account = await postgresAccount(data);
  const binaries = await findPostgresBinaries(account);
  holds.push(...binaries.holds);
  const isNew = await access(data).then(
    () => false,
    () => true,
  );
  if (isNew) await initialise({ data, passwordFile, account, initdb: binaries.initdb, durable, holds });
  // Its owner is gone, as we have the lock, but its pid may be somebody else's by now, which would stop Postgres.
  await rm(join(data, 'postmaster.pid'), { force: true });
  const password = await readFile(passwordFile, 'utf8');
  return { data, log: join(folder, 'postgres.log'), password, postgres: binaries.postgres, account, holds };
}

interface NewCluster {
  data: string;
  passwordFile: string;
  account: Account;
  initdb: string;
  durable: boolean;
  holds: ProcessLock[];
}

/** Under another name until it is whole, so that what a killed initdb leaves is never taken for a cluster. */
async function initialise({ data, passwordFile, account, initdb, durable, holds }: NewCluster): Promise<void> {
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
  const flags = [`--pgdata=${seenFrom(draft, account)}`, ...login, ...locale, ...(durable ? [] : ['--no-sync'])];
  const password = openSync(passwordFile, 'r');
  const child = spawn(initdb, flags, {
    ...account,
    cwd: draft,
    env: POSTGRES_ENV,
    stdio: ['ignore', 'ignore', 'pipe', password, ...holds.map((hold) => hold.inherit)],
  });
  closeSync(password);
  const complaints = text(child.stderr as Readable);
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error(`initdb failed:\n${(await complaints).trim()}`);
  await rename(draft, data);
}

/**
 * The name by which Postgres, started in `folder`, finds it. Root's folders may lie where another user cannot go; the
 * working directory is entered before the user is changed, and this name of it does not lead through its parents.
 */
export const seenFrom = (folder: string, account: Account): string =>
  account.uid !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : folder;
