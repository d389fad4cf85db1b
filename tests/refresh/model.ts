// What rotation promises, in as few lines as it takes: a session is the list of its tokens and when each was turned away.

/** Seconds; each a multiple of `tick`, by which alone time passes here, so that a real second more or less decides nothing. */
export const tick = 20;
export const leeway = 3 * tick;
export const refreshTtl = 8 * tick;
export const sessionTtl = 14 * tick;

const maxKept = 8;

export interface ModelSession {
  readonly id: string;
  /** By generation; the last one is good. */
  readonly tokens: string[];
  /** By generation: when it was turned away. */
  readonly turnedAt: number[];
  readonly absoluteEnd: number;
  idleEnd: number;
  revoked: boolean;
}

export const verdicts = ['turned', 'replayed', 'reused', 'too_far_behind', 'expired', 'revoked'] as const;
export type Verdict = (typeof verdicts)[number];

export const bornAt = (now: number, id: string, token: string): ModelSession => ({
  id,
  tokens: [token],
  turnedAt: [],
  absoluteEnd: now + sessionTtl,
  idleEnd: now + refreshTtl,
  revoked: false,
});

export const isLiveAt = (now: number, session: ModelSession): boolean =>
  !session.revoked && now < Math.min(session.idleEnd, session.absoluteEnd);

/** What must become of a token that is presented alone. */
export function verdict(now: number, session: ModelSession, generation: number): Verdict {
  if (!isLiveAt(now, session)) return session.revoked ? 'revoked' : 'expired';
  const behind = session.tokens.length - 1 - generation;
  const covers = (turned: number) => now - (session.turnedAt[turned] ?? -Infinity) < leeway;
  if (behind === 0) return 'turned';
  if (behind <= maxKept) return covers(generation) ? 'replayed' : 'reused';
  return covers(generation + behind - maxKept) ? 'too_far_behind' : 'reused';
}

export function turn(now: number, session: ModelSession, successor: string): void {
  session.turnedAt.push(now);
  session.tokens.push(successor);
  session.idleEnd = now + refreshTtl;
}
