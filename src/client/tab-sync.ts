import type { AccessToken } from './access-token.ts';
import type { SignedOutReason } from './errors.ts';

/** A message to the other tabs. It never leaves the pages of this origin. */
export type TabMessage =
  | { kind: 'signed_in' }
  | { kind: 'refreshed'; sessionId: string; accessToken: AccessToken }
  | { kind: 'signed_out'; sessionId: string; reason: SignedOutReason };

export interface TabSync {
  /** Runs `task` after all earlier tasks of this client. */
  runInOrder<T>(task: () => Promise<T>): Promise<T>;
  /** The same, while no other tab runs a task, unless another tab takes longer than `lockTimeoutMs`. */
  runExclusively<T>(task: () => Promise<T>): Promise<T>;
  broadcast(message: TabMessage): void;
  close(): void;
}

/** The Web Locks API. `task` receives null if `ifAvailable` is set and another tab has the lock. */
interface Locks {
  request<T>(
    name: string,
    options: { signal: AbortSignal } | { ifAvailable: true },
    task: (lock: object | null) => Promise<T>,
  ): Promise<T>;
}

interface Channel {
  postMessage(message: TabMessage): void;
  onmessage: ((event: { data: TabMessage }) => void) | null;
  close(): void;
}

/** Browser APIs that other platforms may lack. */
interface BrowserGlobals {
  navigator?: { locks?: Locks };
  BroadcastChannel?: new (name: string) => Channel;
}

export interface TabSyncOptions {
  /** Without a name this client is independent of all others. */
  channelName: string | undefined;
  lockTimeoutMs: number;
  onMessage: (message: TabMessage) => void;
}

/** Synchronizes the tabs that use the same `channelName`. */
export function makeTabSync({ channelName, lockTimeoutMs, onMessage }: TabSyncOptions): TabSync {
  const { navigator, BroadcastChannel } = globalThis as unknown as BrowserGlobals;
  const locks = channelName === undefined ? undefined : navigator?.locks;
  let channel = channelName === undefined || !BroadcastChannel ? undefined : new BroadcastChannel(channelName);
  if (channel) channel.onmessage = ({ data }) => onMessage(data);
  let lastTask: Promise<unknown> = Promise.resolve();
  const runInOrder = <T>(task: () => Promise<T>): Promise<T> => {
    const result = lastTask.then(task);
    lastTask = result.catch(() => {});
    return result;
  };

  /** Whether another tab did not release the lock in time. Until it does, this tab does not wait for it again. */
  let isLockStuck = false;
  /**
   * A tab can keep the lock without end: its scripts stop while it shows an alert or is frozen. To continue without the lock is
   * safe, because within the grace period the service answers both tabs with the same tokens.
   */
  const runWithLock = async <T>(name: string, locks: Locks, task: () => Promise<T>): Promise<T> => {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), lockTimeoutMs);
    let hasStarted = false;
    try {
      return await locks.request(name, isLockStuck ? { ifAvailable: true } : { signal: timeout.signal }, (lock) => {
        clearTimeout(timer);
        hasStarted = true;
        isLockStuck = lock === null;
        return runInOrder(task);
      });
    } catch (error) {
      if (hasStarted) throw error;
      isLockStuck = true;
      return runInOrder(task);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    runInOrder,
    runExclusively: (task) =>
      locks && channelName !== undefined ? runWithLock(channelName, locks, task) : runInOrder(task),
    broadcast: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}
