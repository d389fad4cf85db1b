// The rules of rotation in a few lines: a session is the list of its tokens and the time at which each was spent.

/** Seconds. All times are multiples of `tick`, and time passes only by ticks, so that the real duration of a test does not matter. */
export const tick = 20;
export const gracePeriod = 3 * tick;
export const refreshTtl = 8 * tick;
export const sessionTtl = 14 * tick;

const maxRotationsPerGracePeriod = 8;

export interface ModelSession {
  readonly id: string;
  /** By generation. The last one is the current token. */
  readonly tokens: string[];
  /** By generation: the time at which the token was spent. */
  readonly rotatedAt: number[];
  readonly absoluteEnd: number;
  idleEnd: number;
  revoked: boolean;
  /** Whether a token was presented after the session had ended. */
  refused: boolean;
}

export const verdicts = ['rotated', 'unchanged', 'replayed', 'reused', 'expired', 'revoked'] as const;
export type Verdict = (typeof verdicts)[number];

export const createdAt = (now: number, id: string, token: string): ModelSession => ({
  id,
  tokens: [token],
  rotatedAt: [],
  absoluteEnd: now + sessionTtl,
  idleEnd: now + refreshTtl,
  revoked: false,
  refused: false,
});

export const isLiveAt = (now: number, session: ModelSession): boolean =>
  !session.revoked && now < Math.min(session.idleEnd, session.absoluteEnd);

/** The expected outcome of a token that is presented alone. */
export function verdict(now: number, session: ModelSession, generation: number): Verdict {
  if (!isLiveAt(now, session)) return session.revoked ? 'revoked' : 'expired';
  const withinGracePeriod = session.rotatedAt.filter((rotated) => now - rotated < gracePeriod);
  if (generation === session.tokens.length - 1)
    return withinGracePeriod.length < maxRotationsPerGracePeriod ? 'rotated' : 'unchanged';
  return now - (session.rotatedAt[generation] ?? -Infinity) < gracePeriod ? 'replayed' : 'reused';
}

export function rotate(now: number, session: ModelSession, successor: string): void {
  session.rotatedAt.push(now);
  session.tokens.push(successor);
  session.idleEnd = now + refreshTtl;
}
