import { write, writeSync } from 'node:fs';
import { monotonicMs } from '../lib/clock.ts';

const maxWaitingChars = 1_000_000;
/** Short, because a pipe without room for all lines also fails, and its reader needs only a moment. */
const retryMs = 10;
/** After this time without progress, the output counts as blocked. */
const blockedMs = 1000;

/**
 * Writes lines to a file descriptor and never waits for it, so that a full disk or a stalled reader of the log cannot stop the service.
 * Meanwhile lines wait in memory. Lines beyond a million characters are dropped and counted.
 */
export class LineWriter {
  /** The number of dropped lines so far. */
  dropped = 0;
  /** Called with the number of lines dropped since the last call, after a line could be written again. */
  onRecovered: (dropped: number) => void = () => {};
  readonly #fd: number;
  #waiting: string[] = [];
  #waitingChars = 0;
  #chunk: Buffer | undefined;
  #startedMs = 0;
  #reported = 0;
  #endsWithProcess = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    if (!this.#endsWithProcess) process.once('exit', () => this.#end());
    this.#endsWithProcess = true;
    if (this.#waitingChars + line.length > maxWaitingChars) return void (this.dropped += 1);
    this.#waiting.push(line);
    this.#waitingChars += line.length;
    if (!this.#chunk) this.#writeNext();
  }

  /** Writes everything that waits as one chunk. */
  #writeNext(): void {
    if (this.#waiting.length === 0) return;
    this.#writeChunk(Buffer.from(this.#takeWaiting()));
  }

  #takeWaiting(): string {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingChars = 0;
    return text;
  }

  #writeChunk(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#startedMs = monotonicMs();
    write(this.#fd, chunk, (error, written) => {
      if (error) return this.#retry(chunk);
      if (written < chunk.length) return this.#writeChunk(chunk.subarray(written));
      this.#chunk = undefined;
      this.#writeNext();
      const dropped = this.dropped - this.#reported;
      this.#reported = this.dropped;
      if (dropped > 0) this.onRecovered(dropped);
    });
  }

  #retry(chunk: Buffer): void {
    this.#startedMs = Infinity; // failed, not blocked
    setTimeout(() => this.#writeChunk(chunk), retryMs).unref();
  }

  /** Writes the last lines of a process. */
  #end(): void {
    const isBlocked = this.#chunk !== undefined && monotonicMs() - this.#startedMs > blockedMs;
    // Node would wait for its thread that is blocked in write(2), and the process would never end.
    if (isBlocked) return void process.kill(process.pid, 'SIGKILL');
    const failed = this.#startedMs === Infinity && this.#chunk ? [this.#chunk] : [];
    try {
      writeSync(this.#fd, Buffer.concat([...failed, Buffer.from(this.#takeWaiting())]));
    } catch {
      // The disk is full, or the reader has gone.
    }
  }
}

/** The standard output. */
export const stdout = new LineWriter(1);
