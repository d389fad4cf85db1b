/** Requests of this process that are being handled, by key, and requests that wait for the outcome of one of them. */
export interface InFlight {
  enter(key: string): void;
  /** Continues the request that has waited longest. */
  leave(key: string): void;
  /** Resolves with true when a request has left; with false, immediately, if none is being handled. */
  wait(key: string): Promise<boolean>;
}

export function makeInFlight(): InFlight {
  const handled = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();

  const wakeNext = (key: string): void => {
    const queue = waiting.get(key);
    queue?.shift()?.();
    if (queue?.length === 0) waiting.delete(key);
  };

  return {
    enter: (key) => void handled.set(key, (handled.get(key) ?? 0) + 1),
    leave(key) {
      const rest = (handled.get(key) ?? 1) - 1;
      if (rest > 0) handled.set(key, rest);
      else handled.delete(key);
      wakeNext(key);
    },
    wait(key) {
      if (!handled.has(key)) {
        wakeNext(key); // It has nothing to wait for either.
        return Promise.resolve(false);
      }
      return new Promise((resolve) => {
        const queue = waiting.get(key) ?? [];
        queue.push(() => resolve(true));
        waiting.set(key, queue);
      });
    },
  };
}
