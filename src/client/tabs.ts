import type { SignedOutReason } from './errors.ts';
import type { Held } from './held.ts';

/** What one tab tells the others. It stays in the memory of pages of one origin. */
export type News =
  | { kind: 'signed_in' }
  | { kind: 'refreshed'; sessionId: string; held: Held }
  | { kind: 'signed_out'; sessionId: string; reason: SignedOutReason };

export interface Tabs {
  /** Runs when nothing else of this page does. */
  alone<T>(run: () => Promise<T>): Promise<T>;
  /** Runs when nothing else of this page or of another tab does. */
  inTurn<T>(run: () => Promise<T>): Promise<T>;
  tell(news: News): void;
  close(): void;
}

interface Channel {
  postMessage(message: News): void;
  onmessage: ((event: { data: News }) => void) | null;
  close(): void;
}

/** What a page has, and other places may have not. */
interface Surroundings {
  navigator?: { locks?: { request<T>(name: string, run: () => Promise<T>): Promise<T> } };
  BroadcastChannel?: new (name: string) => Channel;
}

/** Without a name, or where the platform has no tabs, this page is the only one. */
export function openTabs(name: string | undefined, onNews: (news: News) => void): Tabs {
  const { navigator, BroadcastChannel } = globalThis as unknown as Surroundings;
  const locks = name === undefined ? undefined : navigator?.locks;
  let channel = name === undefined || !BroadcastChannel ? undefined : new BroadcastChannel(name);
  if (channel) channel.onmessage = ({ data }) => onNews(data);
  let last: Promise<unknown> = Promise.resolve();
  const alone = <T>(run: () => Promise<T>): Promise<T> => {
    const turn = last.then(run);
    last = turn.catch(() => {});
    return turn;
  };
  return {
    alone,
    inTurn: (run) => (locks && name !== undefined ? locks.request(name, () => alone(run)) : alone(run)),
    tell: (news) => channel?.postMessage(news),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}
