// Many connections from other processes.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFilesMax } from '../../src/platform/open-files.ts';
import type { Settings } from '../harness.ts';
import type { AttackPlan, AttackReport } from './attacker.ts';

export interface Attack {
  report(): Promise<AttackReport>;
  /** The report that is as wanted; the last one where none comes in time. */
  until(wanted: (report: AttackReport) => boolean, patienceMs: number): Promise<AttackReport>;
  /** Resets what is open, and ends the processes. */
  stop(): Promise<void>;
}

export type AttackOptions = Pick<AttackPlan, 'connections'> & Partial<AttackPlan>;

const passive = { opening: '', drip: '', everyMs: 0, stubborn: false, deaf: false };

/** As many connections as one process may have open, and no more than two processes are good for. */
const connectionsPerProcess = Math.min(5000, openFilesMax() - 100);

const sum = (reports: AttackReport[]): AttackReport => {
  const total: AttackReport = { open: 0, ended: 0, answers: {} };
  for (const { open, ended, answers } of reports) {
    total.open += open;
    total.ended += ended;
    for (const [status, count] of Object.entries(answers)) total.answers[status] = (total.answers[status] ?? 0) + count;
  }
  return total;
};

const children = new Set<ChildProcess>();

/** Ends what a test that failed left. */
export function stopAttacks(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Resolves when every connection stands, or was refused. */
export async function startAttack(baseUrl: string, options: AttackOptions): Promise<Attack> {
  const processes = Math.ceil(options.connections / connectionsPerProcess);
  const plan = { ...passive, port: Number(new URL(baseUrl).port), ...options };
  const attackers = Array.from({ length: processes }, () => {
    const child = fork('tests/http/attacker.ts', { execArgv: ['--import', './scripts/typescript.js'] });
    children.add(child.once('exit', () => children.delete(child)));
    return child;
  });
  const ask = async (message: AttackPlan | 'report') =>
    sum(
      await Promise.all(
        attackers.map(async (child) => {
          child.send(message);
          return ((await once(child, 'message')) as [AttackReport])[0];
        }),
      ),
    );
  await ask({ ...plan, connections: Math.ceil(options.connections / processes) });
  const report = () => ask('report');
  return {
    report,
    async until(wanted, patienceMs) {
      const endMs = performance.now() + patienceMs;
      for (;;) {
        const seen = await report();
        if (wanted(seen) || performance.now() > endMs) return seen;
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

/** What an attack meets is not the rate limit. */
export const unlimited: Settings = Object.fromEntries(
  ['DEFAULT', 'LOGIN', 'REGISTER', 'REFRESH'].map((name) => [`RATE_LIMIT_${name}`, '1000000/1m']),
);
