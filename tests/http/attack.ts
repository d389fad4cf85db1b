// Many connections from other processes.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFilesMax } from '../../src/platform/process/open-files.ts';
import type { Settings } from '../harness.ts';
import type { AttackPlan, AttackReport } from './attacker.ts';

export interface Attack {
  report(): Promise<AttackReport>;
  /** The first report that matches; the last one if none matches in time. */
  until(condition: (report: AttackReport) => boolean, timeoutMs: number): Promise<AttackReport>;
  /** Resets open connections and stops the processes. */
  stop(): Promise<void>;
}

export type AttackOptions = Pick<AttackPlan, 'connections'> & Partial<AttackPlan>;

const passive = { opening: '', drip: '', everyMs: 0, reconnects: false, neverReads: false };

/** The connections that one process can open, for at most two processes. */
const connectionsPerProcess = Math.min(5000, openFilesMax() - 100);

const sum = (reports: AttackReport[]): AttackReport => {
  const total: AttackReport = { open: 0, ended: 0, responses: {} };
  for (const { open, ended, responses } of reports) {
    total.open += open;
    total.ended += ended;
    for (const [status, count] of Object.entries(responses))
      total.responses[status] = (total.responses[status] ?? 0) + count;
  }
  return total;
};

const children = new Set<ChildProcess>();

/** Stops the processes of a failed test. */
export function stopAttacks(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Resolves once every connection is open or was refused. */
export async function startAttack(baseUrl: string, options: AttackOptions): Promise<Attack> {
  const processes = Math.ceil(options.connections / connectionsPerProcess);
  const plan = { ...passive, port: Number(new URL(baseUrl).port), ...options };
  const attackers = Array.from({ length: processes }, () => {
    const child = fork('tests/http/attacker.ts', { execArgv: ['--import', './scripts/typescript.js'] });
    children.add(child.once('exit', () => children.delete(child)));
    return child;
  });
  const broadcast = async (message: AttackPlan | 'report') =>
    sum(
      await Promise.all(
        attackers.map(async (child) => {
          child.send(message);
          return ((await once(child, 'message')) as [AttackReport])[0];
        }),
      ),
    );
  await broadcast({ ...plan, connections: Math.ceil(options.connections / processes) });
  const report = () => broadcast('report');
  return {
    report,
    async until(condition, timeoutMs) {
      const endMs = performance.now() + timeoutMs;
      for (;;) {
        const latest = await report();
        if (condition(latest) || performance.now() > endMs) return latest;
        await sleep(100);
      }
    },
    async stop() {
      const ended = attackers.map((child) => once(child, 'exit'));
      for (const child of attackers) child.send('stop');
      await Promise.all(ended);
    },
  };
}

/** No rate limits, so that they do not stop an attack. */
export const unlimited: Settings = Object.fromEntries(
  ['DEFAULT', 'LOGIN', 'REGISTER', 'REFRESH'].map((name) => [`RATE_LIMIT_${name}`, '1000000/1m']),
);
