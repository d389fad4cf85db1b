// Invariant 12: whatever happens in whatever order, two processes do what a small model says.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { startWorkers, type Workers } from '../support/workers.ts';
import { leeway, refreshTtl, sessionTtl, type Verdict, verdicts } from './model.ts';
import { makeSimulation, type Step } from './simulation.ts';

const operations = 2000;
/** It takes a quarter of a minute; this is for a machine that is busy with other things. */
const maxMs = 150_000;
const maxShrinkingMs = 20_000;

let workers: Workers;
beforeAll(async () => {
  const settings = {
    REFRESH_GRACE_PERIOD: `${leeway}s`,
    REFRESH_TTL: `${refreshTtl}s`,
    SESSION_TTL: `${sessionTtl}s`,
  };
  workers = await startWorkers({ settings });
}, 30_000);
afterAll(() => workers.close());

const session = fc.nat({ max: 3 });
const back = fc.constantFrom(0, 1, 1, 2, 2, 3, 5, 8, 9, 9, 10, 10);
const times = fc.constantFrom(1, 1, 1, 1, 2, 9);
const count = fc.integer({ min: 2, max: 6 });
const kinds: [weight: number, kind: fc.Arbitrary<Step>][] = [
  [10, fc.record({ do: fc.constant('turn'), session, times })],
  [14, fc.record({ do: fc.constant('replay'), session, back })],
  [6, fc.record({ do: fc.constant('burst'), session, back: fc.constantFrom(0, 0, 1, 2), count })],
  [7, fc.record({ do: fc.constant('pass'), ticks: fc.constantFrom(1, 1, 1, 1, 2, 2, 3, 8) })],
  [3, fc.record({ do: fc.constant('login'), correctly: fc.constantFrom(true, true, true, false) })],
  [1, fc.record({ do: fc.constant('logout'), session, back })],
  [1, fc.record({ do: fc.constant('logoutRace'), session, count })],
  [1, fc.record({ do: fc.constant('changePassword'), session })],
  [1, fc.record({ do: fc.constant('logoutAll'), session })],
];
const script = fc.array(fc.oneof(...kinds.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
  minLength: 1,
  maxLength: 120,
  size: 'max',
});

/** A failure prints its seed, its path and the shortest script that was found; put the two into `fc.assert` to repeat it. */
test(
  'two thousand random steps over two processes go as the model says (invariant 12)',
  async () => {
    const endMs = performance.now() + maxMs;
    let taken = 0;
    const seen = new Set<Verdict>();
    let shrinkUntilMs = Infinity;
    const play = async (steps: readonly Step[]) => {
      const simulation = await makeSimulation(workers, (verdict) => seen.add(verdict));
      for (const step of steps) {
        await simulation.take(step);
        taken += 1;
      }
      await simulation.compareRows();
    };
    const property = fc.asyncProperty(script, async (steps) => {
      if (performance.now() > shrinkUntilMs) return; // the shortest that was found until then is short enough
      await play(steps).catch((error: unknown) => {
        shrinkUntilMs = Math.min(shrinkUntilMs, performance.now() + maxShrinkingMs);
        throw error;
      });
    });
    while (taken < operations)
      await fc.assert(property, {
        numRuns: 8,
        interruptAfterTimeLimit: Math.max(1, endMs - performance.now()),
        markInterruptAsFailure: true,
      });
    // A run that never came to one of them would have proved nothing of it.
    expect([...seen].sort()).toEqual([...verdicts].sort());
  },
  maxMs + 30_000,
);
