import { monotonicMs } from '../../../lib/clock.ts';
import type { Slot } from './slot.ts';

/** Connections without work. The last one is used first, so that those beyond the need become old. */
export class IdleConnections {
  readonly #slots: Slot[] = [];

  get size(): number {
    return this.#slots.length;
  }

  add(slot: Slot): void {
    slot.idleSinceMs = monotonicMs();
    this.#slots.push(slot);
  }

  take(): Slot | undefined {
    return this.#slots.pop();
  }

  delete(slot: Slot): void {
    const index = this.#slots.indexOf(slot);
    if (index !== -1) this.#slots.splice(index, 1);
  }

  /** Those that were not used for `ms`. One timer for all is cheaper than one per statement. */
  olderThan(ms: number): Slot[] {
    const latestMs = monotonicMs() - ms;
    return this.#slots.filter(({ idleSinceMs }) => idleSinceMs <= latestMs);
  }
}
