// Runs a variant under load for some seconds and measures it.
import type { ChildProcess } from 'node:child_process';
import type pg from 'pg';
import type { Load, LoadResult } from './load.ts';
import { callChild, cpuMicros, rssMegabytes, type Server, treeCpuMicros } from './processes.ts';
import { walBetween, walPosition } from './wal.ts';

export interface Variant {
  name: 'service' | 'floor';
  server: Server;
  load: ChildProcess;
}

export interface Figures {
  refreshesPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  serverMicros: number;
  postgresMicros: number;
  walBytes: number;
  imageBytes: number;
  hotShare: number;
  rssMegabytes: number;
}

const rssIntervalMs = 250;

export const runLoad = ({ load, server }: Variant, connections: number, limit: Omit<Load, 'port' | 'connections'>) =>
  callChild<LoadResult>(load, { port: server.port, connections, ...limit });

export async function runRound(
  variant: Variant,
  connections: number,
  seconds: number,
  postgres: { client: pg.Client; pid: number },
): Promise<Figures> {
  const { pid } = variant.server;
  let rss = 0;
  const watch = setInterval(() => (rss = Math.max(rss, rssMegabytes(pid))), rssIntervalMs);
  const walFrom = await walPosition(postgres.client);
  const before = { server: cpuMicros(pid), postgres: treeCpuMicros(postgres.pid) };
  const { refreshes, seconds: took, p50Ms, p99Ms } = await runLoad(variant, connections, { seconds });
  const after = { server: cpuMicros(pid), postgres: treeCpuMicros(postgres.pid) };
  clearInterval(watch);
  const wal = await walBetween(postgres.client, walFrom, await walPosition(postgres.client));
  return {
    refreshesPerSecond: refreshes / took,
    p50Ms,
    p99Ms,
    serverMicros: (after.server - before.server) / refreshes,
    postgresMicros: (after.postgres - before.postgres) / refreshes,
    walBytes: wal.bytes / refreshes,
    imageBytes: wal.imageBytes / refreshes,
    hotShare: wal.hotUpdates / wal.updates,
    rssMegabytes: rss,
  };
}

/** The median of each figure. */
export function medianOf(rounds: readonly Figures[]): Figures {
  const [first] = rounds;
  if (!first) throw new Error('no round was run');
  const middle = (name: keyof Figures) => rounds.map((round) => round[name]).sort((a, b) => a - b)[rounds.length >> 1];
  return Object.fromEntries((Object.keys(first) as (keyof Figures)[]).map((name) => [name, middle(name)])) as Record<
    keyof Figures,
    number
  >;
}
