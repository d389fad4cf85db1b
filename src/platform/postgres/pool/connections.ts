import { monotonicMs } from '../../../lib/clock.ts';
import { PoolError } from './causes.ts';
import { IdleConnections } from './idle.ts';
import { LeavingConnections } from './leaving.ts';
import { Outage } from './outage.ts';
import { type ConnectionsConfig, Slot } from './slot.ts';
import { type Waiter, WaitQueue } from './wait-queue.ts';

/** Time for Postgres to report its own timeout, which leaves the connection usable. */
const graceMs = 500;
const idleMs = 60_000;
const sweepMs = 1000;
const closedError = () => new Error('the pool is closed');

/**
 * The connections of one process to Postgres, at most `max`. A connection counts until Postgres has closed it, so a process never has
 * more than `max` processes in Postgres, even if they hang (docs/decisions/0027-connections-under-faults.md).
 */
export class Connections {
  /** Since the start of the process. `abandoned`: given up while a statement ran. */
  readonly counts = { opened: 0, closed: 0, abandoned: 0 };
  readonly #config: ConnectionsConfig;
  /** All but those that are leaving. */
  readonly #slots = new Set<Slot>();
  readonly #idle = new IdleConnections();
  readonly #waiting: WaitQueue;
  readonly #leaving: LeavingConnections;
  readonly #outage: Outage;
  #connecting = 0;
  #sweepTimer: NodeJS.Timeout | undefined;
  #onEnded: (() => void) | undefined;

  constructor(config: ConnectionsConfig) {
    this.#config = config;
    this.#outage = new Outage(config.timeoutMs);
    this.#leaving = new LeavingConnections(config.client);
    this.#waiting = new WaitQueue(config.timeoutMs, config.availability);
  }

  /** The connections that count, those of them that are idle and that are leaving, and the callers that wait. */
  get current() {
    const leaving = this.#leaving.size;
    return { total: this.#slots.size + leaving, idle: this.#idle.size, leaving, waiting: this.#waiting.size };
  }

  /** Passes a connection to `use`, which must release it. Its wait and its use end at one deadline, counted from `startedMs`. */
  acquire(waiter: Waiter): void {
    const slot = this.#idle.take();
    if (slot) return this.#checkOut(slot, waiter);
    if (this.#onEnded) return waiter.fail(closedError());
    const { error } = this.#outage;
    if (error && this.#isHopeless() && this.#connecting > 0 && this.#outage.isAttemptSlow)
      return this.#waiting.refuse(waiter, error);
    this.#waiting.add(waiter, () => this.#outage.error);
    if (!error) this.#grow();
    else if (this.#waiting.size === 1) this.#retryLater();
  }

  /** Takes a connection back. If Postgres still works on a statement, it stays in use until that has ended, or until its deadline. */
  release(slot: Slot): void {
    if (slot.state !== 'busy') return;
    slot.fail = undefined;
    slot.state = 'released';
    if (slot.client.readyForQuery) this.#onReady(slot);
  }

  /** Ends idle connections now and others when they are released. */
  async end(): Promise<void> {
    if (this.#onEnded) return;
    const ended = new Promise<void>((resolve) => (this.#onEnded = resolve));
    this.#outage.end();
    clearInterval(this.#sweepTimer);
    this.#waiting.refuseAll(closedError());
    for (const slot of this.#idle.olderThan(0)) this.#leave(slot);
    for (const slot of this.#slots) if (slot.state === 'connecting') slot.destroy();
    this.#leaving.stopWaiting();
    if (this.#slots.size > 0) await ended;
  }

  #checkOut(slot: Slot, { startedMs, use }: Waiter): void {
    const { timeoutMs, onWait } = this.#config;
    slot.state = 'busy';
    const waitedMs = monotonicMs() - startedMs;
    onWait(waitedMs / 1000);
    // Whole milliseconds, because Node keeps one list of timers per duration.
    slot.timer = setTimeout(() => this.#abandon(slot), timeoutMs + graceMs - Math.round(waitedMs));
    use(slot);
  }

  #grow(): void {
    while (!this.#outage.error && this.#connecting < this.#waiting.size && this.current.total < this.#config.max)
      this.#open();
  }

  #open(): void {
    this.#sweepTimer ??= setInterval(() => this.#sweep(), sweepMs).unref();
    this.#connecting += 1;
    this.#outage.attempt();
    const slot = new Slot(this.#config.client, {
      onOpen: () => this.#onOpen(slot),
      onOpenFailed: (error) => this.#onOpenFailed(slot, error),
      onError: (error) => this.#onError(slot, error),
      onReady: () => this.#onReady(slot),
      onEnd: () => this.#onEnd(slot),
    });
    this.#slots.add(slot);
  }

  #onOpen(slot: Slot): void {
    this.#connecting -= 1;
    this.counts.opened += 1;
    this.#outage.succeeded();
    if (this.#onEnded) return this.#leave(slot);
    this.#makeIdle(slot);
    this.#grow();
  }

  /** Nothing was executed, so connecting again is safe, for all callers that wait and one attempt at a time. */
  #onOpenFailed(slot: Slot, error: Error): void {
    this.#connecting -= 1;
    this.#slots.delete(slot);
    slot.destroy();
    if (this.#onEnded) return this.#slots.size === 0 ? this.#onEnded() : undefined;
    this.#config.availability.failed(error);
    this.#outage.failed(error);
    if (this.#isHopeless()) this.#waiting.refuseAll(error);
    this.#retryLater();
  }

  /** No connection can become free, and the outage is no restart. */
  #isHopeless(): boolean {
    return this.#slots.size === this.#connecting && this.#outage.isLong;
  }

  /** Also without callers if there is no other connection, so that the first request after the outage succeeds. */
  #retryLater(): void {
    if (this.#connecting > 0) return;
    const retry = () => {
      if (this.#waiting.size === 0 && this.#slots.size > 0) this.#outage.end();
      else if (this.current.total < this.#config.max) this.#open();
      else this.#retryLater();
    };
    this.#outage.retryLater(retry, this.#waiting.size > 0);
  }

  #onReady(slot: Slot): void {
    if (slot.state === 'leaving') return slot.close();
    if (slot.state !== 'released') return;
    clearTimeout(slot.timer);
    if (!slot.isClean || this.#onEnded) return this.#leave(slot);
    this.#makeIdle(slot);
  }

  #makeIdle(slot: Slot): void {
    const waiter = this.#waiting.take();
    if (waiter) return this.#checkOut(slot, waiter);
    slot.state = 'idle';
    this.#idle.add(slot);
  }

  /** `pg` has rejected the statements that ran. Their callers release the connection, which then has no effect. */
  #onError(slot: Slot, error: Error): void {
    if (slot.state === 'idle') this.#config.availability.failed(error); // otherwise the statement reports it
    this.#leave(slot);
  }

  /** The caller learns that the outcome is unknown. The socket stays open, because only Postgres can confirm the end. */
  #abandon(slot: Slot): void {
    this.counts.abandoned += 1;
    const { fail } = slot;
    slot.fail = undefined;
    this.#leave(slot, () => {});
    if (fail) this.#waiting.refuse({ fail }, new PoolError('no_response', 'the database did not respond in time'));
  }

  #leave(slot: Slot, close: () => void = () => slot.close()): void {
    if (slot.state === 'leaving') return;
    this.#idle.delete(slot);
    clearTimeout(slot.timer);
    slot.state = 'leaving';
    this.#slots.delete(slot);
    this.#leaving.add(slot);
    close();
    if (this.#slots.size === 0) this.#onEnded?.();
  }

  /** Postgres has closed the connection. */
  #onEnd(slot: Slot): void {
    if (slot.state === 'connecting') return; // `onOpenFailed` follows or has removed it
    this.#leave(slot);
    this.#leaving.delete(slot);
    this.counts.closed += 1;
    this.#grow();
  }

  #sweep(): void {
    for (const slot of this.#idle.olderThan(idleMs)) this.#leave(slot);
    this.#leaving.check();
  }
}
