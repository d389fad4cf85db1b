import { monotonicMs } from '../../../lib/clock.ts';
import { PoolError } from './causes.ts';
import { IdleConnections } from './idle.ts';
import { ClosingConnections } from './closing.ts';
import { Outage } from './outage.ts';
import { type ConnectionsConfig, PooledConnection } from './pooled-connection.ts';
import { type Waiter, WaitQueue } from './wait-queue.ts';

/** Time for Postgres to report its own timeout, which leaves the connection usable. */
const graceMs = 500;
const [idleMs, sweepMs] = [60_000, 1000];
const closedError = () => new Error('the pool is closed');

/**
 * The connections of one process to Postgres, at most `max`. A connection counts until Postgres has closed it, so a process never has
 * more than `max` processes in Postgres, even if they hang (docs/decisions/0027-connections-under-faults.md).
 */
export class Connections {
  /** Since the start of the process. `abandoned`: given up while a statement ran. */
  readonly counts = { opened: 0, closed: 0, abandoned: 0 };
  readonly #config: ConnectionsConfig;
  /** All but those that are closing. */
  readonly #connections = new Set<PooledConnection>();
  readonly #idle = new IdleConnections();
  readonly #waiting: WaitQueue;
  readonly #closing: ClosingConnections;
  readonly #outage: Outage;
  #connecting = 0;
  #sweepTimer: NodeJS.Timeout | undefined;
  #ended: Promise<void> | undefined;
  #onEnded: (() => void) | undefined;

  constructor(config: ConnectionsConfig) {
    this.#config = config;
    this.#outage = new Outage(config.timeoutMs);
    this.#closing = new ClosingConnections(config.client);
    this.#waiting = new WaitQueue(config.timeoutMs, config.availability);
  }

  /** The connections that count, those of them that are idle and that are closing, and the callers that wait. */
  get current() {
    const closing = this.#closing.size;
    return { total: this.#connections.size + closing, idle: this.#idle.size, closing, waiting: this.#waiting.size };
  }

  /** Passes a connection to `use`, which must release it. Its wait and its use end at one deadline, counted from `startedMs`. */
  acquire(waiter: Waiter): void {
    const connection = this.#idle.take();
    if (connection) return this.#checkOut(connection, waiter);
    if (this.#onEnded) return waiter.fail(closedError());
    const { error } = this.#outage;
    if (error && this.#failsFast() && this.#connecting > 0 && this.#outage.isAttemptSlow)
      return this.#waiting.refuse(waiter, error);
    this.#waiting.add(waiter, () => this.#outage.error);
    if (!error) this.#grow();
    else if (this.#waiting.size === 1) this.#retryLater();
  }

  /** Takes a connection back. If Postgres still works on a statement, it stays in use until that has ended, or until its deadline. */
  release(connection: PooledConnection): void {
    if (connection.state !== 'busy') return;
    connection.fail = undefined;
    connection.state = 'released';
    if (connection.client.readyForQuery) this.#onReady(connection);
  }

  /** Ends idle connections now and others when they are released. */
  readonly end = (): Promise<void> => (this.#ended ??= this.#end());
  async #end(): Promise<void> {
    const ended = new Promise<void>((resolve) => (this.#onEnded = resolve));
    this.#outage.end();
    clearInterval(this.#sweepTimer);
    this.#waiting.refuseAll(closedError());
    for (const connection of this.#idle.olderThan(0)) this.#startClosing(connection);
    for (const connection of this.#connections) if (connection.state === 'connecting') connection.destroy();
    this.#closing.stopWaiting();
    if (this.#connections.size > 0) await ended;
  }

  #checkOut(connection: PooledConnection, { startedMs, use }: Waiter): void {
    const { timeoutMs, onWait } = this.#config;
    connection.state = 'busy';
    const waitedMs = monotonicMs() - startedMs;
    onWait(waitedMs / 1000);
    // Whole milliseconds, because Node keeps one list of timers per duration.
    connection.timer = setTimeout(() => this.#abandon(connection), timeoutMs + graceMs - Math.round(waitedMs));
    use(connection);
  }

  #grow(): void {
    while (!this.#outage.error && this.#connecting < this.#waiting.size && this.current.total < this.#config.max)
      this.#open();
  }

  #open(): void {
    this.#sweepTimer ??= setInterval(() => this.#sweep(), sweepMs).unref();
    this.#connecting += 1;
    this.#outage.attempt();
    const connection = new PooledConnection(this.#config.client, {
      onOpen: () => this.#onOpen(connection),
      onOpenFailed: (error) => this.#onOpenFailed(connection, error),
      onError: (error) => this.#onError(connection, error),
      onReady: () => this.#onReady(connection),
      onEnd: () => this.#onEnd(connection),
    });
    this.#connections.add(connection);
  }

  #onOpen(connection: PooledConnection): void {
    this.#connecting -= 1;
    this.counts.opened += 1;
    this.#outage.succeeded();
    if (this.#onEnded) return this.#startClosing(connection);
    this.#makeIdle(connection);
    this.#grow();
  }

  /** Nothing was executed, so connecting again is safe, for all callers that wait and one attempt at a time. */
  #onOpenFailed(connection: PooledConnection, error: Error): void {
    this.#connecting -= 1;
    this.#connections.delete(connection);
    connection.destroy();
    if (this.#onEnded) return this.#connections.size === 0 ? this.#onEnded() : undefined;
    this.#config.availability.failed(error);
    this.#outage.failed(error);
    if (this.#failsFast()) this.#waiting.refuseAll(error);
    this.#retryLater();
  }

  /** Whether waiting is useless: no connection can become free, and the outage is longer than a restart. */
  #failsFast(): boolean {
    return this.#connections.size === this.#connecting && this.#outage.isRetryWindowOver;
  }

  /** Also without callers if there is no other connection, so that the first request after the outage succeeds. */
  #retryLater(): void {
    if (this.#connecting > 0) return;
    const retry = () => {
      if (this.#waiting.size === 0 && this.#connections.size > 0) this.#outage.end();
      else if (this.current.total < this.#config.max) this.#open();
      else this.#retryLater();
    };
    this.#outage.retryLater(retry, this.#waiting.size > 0);
  }

  #onReady(connection: PooledConnection): void {
    if (connection.state === 'closing') return connection.close();
    if (connection.state !== 'released') return;
    clearTimeout(connection.timer);
    if (!connection.isClean || this.#onEnded) return this.#startClosing(connection);
    this.#makeIdle(connection);
  }

  #makeIdle(connection: PooledConnection): void {
    const waiter = this.#waiting.take();
    if (waiter) return this.#checkOut(connection, waiter);
    connection.state = 'idle';
    this.#idle.add(connection);
  }

  /** `pg` has rejected the statements that ran. Their callers release the connection, which then has no effect. */
  #onError(connection: PooledConnection, error: Error): void {
    if (connection.state === 'idle') this.#config.availability.failed(error); // otherwise the statement reports it
    this.#startClosing(connection);
  }

  /** The caller learns that the outcome is unknown. The socket stays open, because only Postgres can confirm the end. */
  #abandon(connection: PooledConnection): void {
    this.counts.abandoned += 1;
    const { fail } = connection;
    connection.fail = undefined;
    this.#startClosing(connection, () => {});
    if (fail) this.#waiting.refuse({ fail }, new PoolError('no_response', 'the database did not respond in time'));
  }

  #startClosing(connection: PooledConnection, close: () => void = () => connection.close()): void {
    if (connection.state === 'closing') return;
    this.#idle.delete(connection);
    clearTimeout(connection.timer);
    connection.state = 'closing';
    this.#connections.delete(connection);
    this.#closing.add(connection);
    close();
    if (this.#connections.size === 0) this.#onEnded?.();
  }

  /** Postgres has closed the connection. */
  #onEnd(connection: PooledConnection): void {
    if (connection.state === 'connecting') return; // `onOpenFailed` follows or has removed it
    this.#startClosing(connection);
    this.#closing.delete(connection);
    this.counts.closed += 1;
    this.#grow();
  }

  #sweep(): void {
    for (const connection of this.#idle.olderThan(idleMs)) this.#startClosing(connection);
    this.#closing.check();
  }
}
