import { Overloaded } from '../../lib/errors.ts';
import type { SessionId } from '../../lib/ids.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { type Database, DatabaseUnavailable } from '../../platform/postgres.ts';
import type { LiveSession } from './live-session.sql.ts';
import { type Rotation, type RotationTimes, rotateMany, rotateOne } from './rotate-session.sql.ts';

/** Returns undefined if the token is not current or the session cannot be rotated. @throws DatabaseUnavailable, Overloaded */
export type RotateSession = (rotation: Rotation) => Promise<LiveSession | undefined>;

export interface RotateSessionDeps {
  db: Database;
  times: RotationTimes;
  /** Maximum time for a statement, and for waiting for the next one. */
  timeoutSeconds: number;
}

const maxGroupSize = 64;
const maxWaiting = 2000;

interface Waiting {
  rotation: Rotation;
  sinceMs: number;
  resolve: (session: LiveSession | undefined | Promise<LiveSession | undefined>) => void;
  reject: (error: unknown) => void;
}

/**
 * Rotates sessions, several in one statement when they come together: a commit and a round trip cost as much for 64 rows as for one. A
 * rotation that finds no other in progress runs alone and immediately. One group runs at a time, and rotations that arrive meanwhile
 * are the next one. See docs/decisions/0029-grouped-rotation.md.
 */
export function makeRotateSession({ db, times, timeoutSeconds }: RotateSessionDeps): RotateSession {
  let alone = 0;
  let isGroupRunning = false;
  /** By session. A second rotation of one needs a statement of its own after the first, and must not take the place of others. */
  const waiting = new Map<SessionId, Waiting>();

  const rotateAlone = (rotation: Rotation) => {
    alone += 1;
    return rotateOne(db, rotation, times).finally(() => (alone -= 1));
  };

  /** Removes the oldest rotations from those that wait, and refuses those that came too long ago. */
  const takeGroup = (): Waiting[] => {
    const lateMs = monotonicMs() - timeoutSeconds * 1000;
    const group: Waiting[] = [];
    for (const [sessionId, each] of waiting) {
      if (group.length === maxGroupSize) break;
      waiting.delete(sessionId);
      if (each.sinceMs > lateMs) group.push(each);
      else each.reject(new DatabaseUnavailable('rotations waited too long'));
    }
    return group;
  };

  const runGroup = async (group: readonly Waiting[]) => {
    const rotations = group.map(({ rotation }) => rotation);
    const rotated = new Map((await rotateMany(db, rotations, times)).map((session) => [session.id, session]));
    // One that was not rotated is spent, revoked, or locked by another transaction. Only its own statement waits for that.
    for (const { rotation, resolve } of group) resolve(rotated.get(rotation.sessionId) ?? rotateAlone(rotation));
  };

  const runGroups = async () => {
    isGroupRunning = true;
    while (waiting.size > 0) {
      const group = takeGroup();
      await runGroup(group).catch((error: unknown) => {
        for (const { rotation, resolve, reject } of group)
          if (error instanceof DatabaseUnavailable) reject(error);
          else resolve(rotateAlone(rotation)); // one of them is at fault
      });
    }
    isGroupRunning = false;
  };

  return (rotation) => {
    const { sessionId } = rotation;
    if ((alone === 0 && !isGroupRunning) || waiting.has(sessionId)) return rotateAlone(rotation);
    if (waiting.size >= maxWaiting) return Promise.reject(new Overloaded('too many waiting rotations', 1));
    return new Promise((resolve, reject) => {
      waiting.set(sessionId, { rotation, sinceMs: monotonicMs(), resolve, reject });
      if (!isGroupRunning) void runGroups();
    });
  };
}
