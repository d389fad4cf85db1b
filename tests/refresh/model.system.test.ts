// Invariant 12: in any order of events, two processes behave like a small model.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { startWorkers, type Workers } from '../support/workers.ts';
import { gracePeriod, refreshTtl, sessionTtl, type Verdict, verdicts } from './model.ts';
import { makeSimulation, type Step } from './simulation.ts';

const operations = 2000;
/** Far more than needed, for busy machines. */
const maxMs = 400_000;
const maxShrinkingMs = 20_000;

let workers: Workers;
beforeAll(async () => {
  const settings = {
    REFRESH_GRACE_PERIOD: `${gracePeriod}s`,
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
  [10, fc.record({ do: fc.constant('refresh'), session, times })],
  [14, fc.record({ do: fc.constant('replay'), session, back })],
  [6, fc.record({ do: fc.constant('burst'), session, back: fc.constantFrom(0, 0, 1, 2), count })],
  [6, fc.record({ do: fc.constant('together'), backs: fc.array(back, { minLength: 2, maxLength: 6 }) })],
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

/** A failure prints its seed, its path and the shortest failing script. Pass seed and path to `fc.assert` to repeat it. */
test(
  '2,000 random steps at two processes have the outcomes of the model (invariant 12)',
  async () => {
    const endMs = performance.now() + maxMs;
    let stepsTaken = 0;
    const seen = new Set<Verdict>();
    let shrinkUntilMs = Infinity;
    const play = async (steps: readonly Step[]) => {
      const simulation = await makeSimulation(workers, (verdict) => seen.add(verdict));
      for (const step of steps) {
        await simulation.take(step);
        stepsTaken += 1;
      }
      await simulation.compareRows();
    };
    const property = fc.asyncProperty(script, async (steps) => {
      if (performance.now() > shrinkUntilMs) return; // Stops shrinking.
      await play(steps).catch((error: unknown) => {
        shrinkUntilMs = Math.min(shrinkUntilMs, performance.now() + maxShrinkingMs);
        throw error;
      });
    });
    while (stepsTaken < operations)
      await fc.assert(property, {
        numRuns: 8,
        interruptAfterTimeLimit: Math.max(1, endMs - performance.now()),
        markInterruptAsFailure: true,
      });
    // Every verdict must occur, so that all of them are tested.
    expect([...seen].sort()).toEqual([...verdicts].sort());
  },
  maxMs + 30_000,
);
