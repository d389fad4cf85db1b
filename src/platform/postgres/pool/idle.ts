import { monotonicMs } from '../../../lib/clock.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Connections without work. The last one is used first, so that those beyond the need become old. */
export class IdleConnections {
  readonly #connections: PooledConnection[] = [];

  get size(): number {
    return this.#connections.length;
  }

  add(connection: PooledConnection): void {
    connection.idleSinceMs = monotonicMs();
    this.#connections.push(connection);
  }

  take(): PooledConnection | undefined {
    return this.#connections.pop();
  }

  delete(connection: PooledConnection): void {
    const index = this.#connections.indexOf(connection);
    if (index !== -1) this.#connections.splice(index, 1);
  }

  /** Those that were not used for `ms`. One timer for all is cheaper than one per statement. */
  olderThan(ms: number): PooledConnection[] {
    const latestMs = monotonicMs() - ms;
    return this.#connections.filter(({ idleSinceMs }) => idleSinceMs <= latestMs);
  }
}
