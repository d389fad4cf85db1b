// A primary and a synchronous standby, which can be paused.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';

export interface ReplicatedPostgres {
  primary: EmbeddedPostgres;
  /** From now on, no commit is confirmed. */
  pauseStandby(): void;
  resumeStandby(): void;
  stop(): Promise<void>;
}

/** Starts both. Resolves when commits are replicated. */
export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const root = await mkdtemp(join(tmpdir(), 'keyturn-standby-'));
  const [primaryFolder, standbyFolder] = [join(root, 'primary'), join(root, 'standby')];
  const first = await startEmbeddedPostgres({ directory: primaryFolder, durable: true });
  await first.stop();
  execFileSync('cp', ['-a', primaryFolder, standbyFolder]);
  // `cp -p` keeps the owner, which Postgres requires.
  execFileSync('cp', [
    '-p',
    join(standbyFolder, 'cluster', 'PG_VERSION'),
    join(standbyFolder, 'cluster', 'standby.signal'),
  ]);
  const primary = await startEmbeddedPostgres({
    directory: primaryFolder,
    durable: true,
    settings: { synchronous_standby_names: 'standby', fsync: 'off' },
  });
  const { hostname, port, username, password } = new URL(primary.url);
  const address = `host=${hostname} port=${port} user=${username} password=${password}`;
  const standby = await startEmbeddedPostgres({
    directory: standbyFolder,
    durable: true,
    settings: { primary_conninfo: `${address} application_name=standby`, fsync: 'off' },
  });
  const receiver = await walReceiverOf(standby.pid);
  const resumeStandby = () => void process.kill(receiver, 'SIGCONT');
  return {
    primary,
    pauseStandby: () => void process.kill(receiver, 'SIGSTOP'),
    resumeStandby,
    async stop() {
      resumeStandby();
      await standby.stop();
      await primary.stop();
      await rm(root, { recursive: true });
    },
  };
}

/** The pid of the process that receives the changes. */
async function walReceiverOf(postmaster: number): Promise<number> {
  for (let tries = 0; tries < 500; tries += 1) {
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const [status, command] = await Promise.all(
        ['status', 'cmdline'].map((file) => readFile(`/proc/${entry}/${file}`, 'utf8').catch(() => '')),
      );
      if (status?.includes(`PPid:\t${postmaster}\n`) && command?.includes('walreceiver')) return Number(entry);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the standby does not receive changes');
}
