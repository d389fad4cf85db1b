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
  /** The same, while no other tab runs a task. */
  runExclusively<T>(task: () => Promise<T>): Promise<T>;
  broadcast(message: TabMessage): void;
  close(): void;
}

interface Channel {
  postMessage(message: TabMessage): void;
  onmessage: ((event: { data: TabMessage }) => void) | null;
  close(): void;
}

/** Browser APIs that other platforms may lack. */
interface BrowserGlobals {
  navigator?: { locks?: { request<T>(name: string, task: () => Promise<T>): Promise<T> } };
  BroadcastChannel?: new (name: string) => Channel;
}

/** Synchronizes the tabs that use the same `channelName`. Without a name this client is independent of all others. */
export function makeTabSync(channelName: string | undefined, onMessage: (message: TabMessage) => void): TabSync {
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
  return {
    runInOrder,
    runExclusively: (task) =>
      locks && channelName !== undefined ? locks.request(channelName, () => runInOrder(task)) : runInOrder(task),
    broadcast: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}
