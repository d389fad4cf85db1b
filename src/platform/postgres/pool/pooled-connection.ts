// One connection of the pool. It counts until its socket has closed, because only then has its process in Postgres ended.
import type pg from 'pg';
import { monotonicMs } from '../../../lib/clock.ts';
import { makeClient } from '../client.ts';
import type { Availability } from './availability.ts';
import { connectionError, PoolError } from './causes.ts';

/** What `pg` does not declare. */
type Client = pg.Client & {
  /** The pid of the process in Postgres. */
  processID: number | null;
  /** False while a statement runs. */
  readyForQuery: boolean;
  /** `I` outside a transaction. */
  getTransactionStatus(): string | null;
  connection: pg.Connection;
  /** Lets the process end while the connection is open. */
  unref(): void;
};

/**
 * - `released`: the caller is done, but Postgres still works on the statement.
 * - `closing`: no longer used. Postgres has not confirmed the end.
 */
type State = 'connecting' | 'idle' | 'busy' | 'released' | 'closing';

export interface ConnectionsConfig {
  client: pg.ClientConfig;
  max: number;
  /** For waiting and for the work on the connection together. */
  timeoutMs: number;
  availability: Availability;
  /** Receives the seconds that a caller waited for a connection. */
  onWait: (seconds: number) => void;
}

interface ConnectionEvents {
  onOpen: () => void;
  onOpenFailed: (error: Error) => void;
  /** The connection broke. */
  onError: (error: Error) => void;
  /** Postgres can take the next statement. */
  onReady: () => void;
  /** The socket has closed. */
  onEnd: () => void;
}

export class PooledConnection {
  state: State = 'connecting';
  readonly openedMs = monotonicMs();
  idleSinceMs = 0;
  /** Ends the use at its deadline. */
  timer: NodeJS.Timeout | undefined;
  /** Rejects the statements that run, if the deadline passes. */
  fail: ((error: Error) => void) | undefined;
  readonly client: Client;
  /** Whether Postgres has completed the latest statement. */
  #hasCompleted = false;
  /** Whether Postgres stopped waiting for the synchronous standby after the commit of the latest statement. */
  #isUnreplicated = false;

  constructor(config: pg.ClientConfig, { onOpen, onOpenFailed, onError, onReady, onEnd }: ConnectionEvents) {
    const client = makeClient(config) as unknown as Client;
    this.client = client;
    // The first result counts: a server can report an error and then that it is ready.
    let isOpen: boolean | undefined;
    const onResult = (error: Error | null) => {
      if (isOpen !== undefined) return;
      isOpen = !error;
      if (error) onOpenFailed(connectionError(error));
      else onOpen();
    };
    client.on('error', (error) => (isOpen ? onError(error) : onResult(error)));
    client.on('end', onEnd);
    client.on('drain', onReady);
    client.on('notice', (notice) => {
      // Postgres then reports success, although the change can still be lost with the primary.
      if (notice.routine === 'SyncRepWaitForLSN') this.#isUnreplicated = true;
    });
    client.connection.on('commandComplete', () => (this.#hasCompleted = true));
    client.connect(onResult);
  }

  /** Whether the next caller can have the connection: no statement and no transaction is open. */
  get isClean(): boolean {
    return this.client.readyForQuery && this.client.getTransactionStatus() === 'I';
  }

  query(statement: string | pg.QueryConfig, done: (error: Error | null, result: pg.QueryResult) => void): void {
    this.#hasCompleted = false;
    this.#isUnreplicated = false;
    this.client.query(typeof statement === 'string' ? { text: statement } : statement, (error, result) => {
      const isUnknown = !error && this.#isUnreplicated;
      done(isUnknown ? new PoolError('not_replicated', 'no standby has confirmed the commit') : error, result);
    });
  }

  /**
   * Whether Postgres ended the connection without executing the statement. An administrator's shutdown (57P01) is an error only before
   * the statement completes, and rolls it back. After a commit, its completion comes first. A proxy can report the same
   * code at any time, but not as the routine of Postgres.
   */
  hasExecutedNothing(error: Error): boolean {
    const { code, routine } = error as { code?: unknown; routine?: unknown };
    return !this.#hasCompleted && code === '57P01' && routine === 'ProcessInterrupts';
  }

  /** Asks Postgres to close the connection. */
  close(): void {
    void this.client.end().catch(() => {});
  }

  /** Closes the socket without waiting for Postgres. */
  destroy(): void {
    this.client.connection.stream.destroy();
  }
}
