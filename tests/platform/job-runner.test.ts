import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { StartupError } from '../../src/lib/errors.ts';
import { type Job, type RunningJob, startJob, startJobs } from '../../src/platform/job-runner.ts';

let lines: { level: number; msg: string; reason?: string }[] = [];
let outcomes: string[] = [];
const runner = {
  log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  metrics: { startJob: () => {}, jobRan: (_job: string, outcome: string) => void outcomes.push(outcome) },
};

const started: Pick<RunningJob, 'stop'>[] = [];
afterEach(async () => {
  for (const job of started.splice(0)) await job.stop();
  lines = [];
  outcomes = [];
});

const start = (run: Job['run'], periodSeconds = 0.02): RunningJob => {
  const job = startJob({ name: 'test', periodSeconds, run }, runner);
  started.push(job);
  return job;
};

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 1000) throw new Error(`condition did not become true: ${condition.toString()}`);
    await sleep(5);
  }
}

test('a job runs immediately and then once per period', async () => {
  let runs = 0;
  start(async () => void (runs += 1));
  expect(runs).toBe(1);
  await until(() => runs >= 3);
  expect(outcomes.slice(0, 2)).toEqual(['succeeded', 'succeeded']);
});

test('a failing job logs each new reason once, and once that it succeeds again', async () => {
  const errors = [new Error('first'), new Error('first'), new StartupError('second')];
  start(async () => {
    const error = errors.shift();
    if (error) throw error;
  });
  await until(() => lines.length === 3);
  expect(lines).toMatchObject([
    { level: 40, msg: 'background job failed', reason: 'first' },
    { level: 50, msg: 'background job failed', reason: 'second' },
    { level: 30, msg: 'background job succeeded again' },
  ]);
  expect(outcomes.slice(0, 4)).toEqual(['failed', 'failed', 'failed', 'succeeded']);
});

test('a failing job is retried before its period ends', async () => {
  let runs = 0;
  start(async () => {
    runs += 1;
    if (runs === 1) throw new Error('fails once');
  }, 3600);
  await until(() => outcomes.length === 2);
  expect(outcomes).toEqual(['failed', 'succeeded']);
});

test('a job that is woken runs now, or again after the current run', async () => {
  let runs = 0;
  let finish = () => {};
  const job = start(async () => {
    runs += 1;
    await new Promise<void>((resolve) => (finish = resolve));
  }, 3600);
  job.wake();
  job.wake();
  await sleep(30);
  expect(runs).toBe(1);
  finish();
  await until(() => runs === 2);
  finish();
  await sleep(30);
  expect(runs).toBe(2);
  job.wake();
  await until(() => runs === 3);
  finish();
});

test('a stopped job aborts its run, waits for it and logs nothing', async () => {
  let hasEnded = false;
  const job = start(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await sleep(20);
    hasEnded = true;
    throw new Error('aborted');
  });
  await job.stop();
  expect([hasEnded, lines, outcomes]).toEqual([true, [], []]);
});

test('several jobs run one at a time, and a failing one does not stop the others', async () => {
  let running = 0;
  let overlaps = 0;
  const runs = { one: 0, two: 0 };
  const work = (name: 'one' | 'two') => async () => {
    running += 1;
    overlaps = Math.max(overlaps, running);
    await sleep(5);
    running -= 1;
    runs[name] += 1;
    if (name === 'one') throw new Error('fails always');
  };
  started.push(
    startJobs(
      [
        { name: 'one', periodSeconds: 0.01, run: work('one') },
        { name: 'two', periodSeconds: 0.01, run: work('two') },
      ],
      runner,
    ),
  );
  await until(() => runs.one >= 2 && runs.two >= 2);
  expect(overlaps).toBe(1);
});
