// When a signing key changes its status: docs/decisions/0009-automatic-signing-key-rotation.md
import type { SigningAlg } from './signing-key.ts';

export interface KeySettings {
  jwtAlg: SigningAlg;
  jwksMaxAgeSeconds: number;
  accessTtlSeconds: number;
  /** Undefined: a key signs until an operator asks for the next one. */
  signingKeyRotationSeconds: number | undefined;
}

/** How far a verifier's clock may be behind ours. */
const clockSkewSeconds = 60;
/** What a process may need to publish what another one made, besides what caches may keep. */
const longestMarginSeconds = 60;
const longestPollSeconds = 5;

/** Longer than a process needs to be replaced, and many times `claimEverySeconds`. */
export const unwantedAfterSeconds = 600;
/** How fresh `wanted_at` is kept: one UPDATE in so long, of all processes together. */
export const claimEverySeconds = 60;

/** What follows from the settings for keys. */
export interface KeyTimes {
  /** How old an active key becomes; null for ever. */
  rotationSeconds: number | null;
  /** How long a key is published before it signs: no cache is left that does not know it. */
  publishSeconds: number;
  accessTtlSeconds: number;
  /** How long a retired key stays after the last token that it signed. */
  keepSeconds: number;
  pollSeconds: number;
}

export function keyTimes(settings: KeySettings): KeyTimes {
  const { jwksMaxAgeSeconds, accessTtlSeconds, signingKeyRotationSeconds = null } = settings;
  const marginSeconds = Math.min(longestMarginSeconds, jwksMaxAgeSeconds);
  return {
    rotationSeconds: signingKeyRotationSeconds,
    publishSeconds: 2 * jwksMaxAgeSeconds + marginSeconds, // max-age, and as much again of stale-while-revalidate
    accessTtlSeconds,
    keepSeconds: jwksMaxAgeSeconds + clockSkewSeconds,
    pollSeconds: Math.min(longestPollSeconds, marginSeconds / 3), // even a process that misses a poll is in the margin
  };
}

/** A key, and what Postgres' clock says of it. */
export interface KeyState {
  kid: string;
  alg: SigningAlg;
  status: 'next' | 'active' | 'retired';
  /** `next`: published for long enough to sign. */
  ready: boolean;
  /** `next`: an operator wants it to sign. */
  asked: boolean;
  /** `active`: has signed for SIGNING_KEY_ROTATION. */
  aged: boolean;
  /** `next` and `active`: no process of this algorithm has been there for a while. */
  unwanted: boolean;
  /** `next` and `active`: does not know yet what this process is and needs. */
  unclaimed: boolean;
  /** `retired`: nothing that it signed can be good any more. */
  spent: boolean;
}

export type Step =
  | { kind: 'claim' }
  /** The very first key signs at once: no cache has an older set. */
  | { kind: 'make'; alg: SigningAlg; status: 'next' | 'active' }
  /** Retires the active key of the same algorithm, and makes another `next`. */
  | { kind: 'activate'; kid: string; alg: SigningAlg; reason: 'asked' | 'aged' | 'only' | 'alg_changed' }
  | { kind: 'retire' | 'delete'; kid: string; reason: 'unwanted' | 'spent' };

/** The next thing to do for a process that signs with `alg`; undefined where all is as it should be. */
export function nextStep(keys: readonly KeyState[], alg: SigningAlg): Step | undefined {
  const mine = (status: KeyState['status']) => keys.find((key) => key.status === status && key.alg === alg);
  const [active, next] = [mine('active'), mine('next')];
  if (keys.some(({ unclaimed }) => unclaimed)) return { kind: 'claim' };

  if (!keys.some(({ status }) => status === 'active')) {
    const heir = next ?? keys.find(({ status }) => status === 'next');
    if (!heir) return { kind: 'make', alg, status: 'active' };
    return { kind: 'activate', kid: heir.kid, alg: heir.alg, reason: 'only' };
  }
  if (!next) return { kind: 'make', alg, status: 'next' };
  const reason = !active ? 'alg_changed' : next.asked ? 'asked' : active.aged ? 'aged' : undefined;
  if (next.ready && reason) return { kind: 'activate', kid: next.kid, alg, reason };

  const spent = keys.find((key) => key.status === 'retired' && key.spent);
  if (spent) return { kind: 'delete', kid: spent.kid, reason: 'spent' };
  const left = keys.find((key) => key.alg !== alg && key.status !== 'retired' && key.unwanted);
  if (!active || !left) return undefined;
  return { kind: left.status === 'active' ? 'retire' : 'delete', kid: left.kid, reason: 'unwanted' };
}

/** Which key a process signs with: of its own algorithm, else, until that has one, of the former. */
export const signerOf = <Key extends Pick<KeyState, 'alg' | 'status'>>(
  keys: readonly Key[],
  alg: SigningAlg,
): Key | undefined => {
  const active = keys.filter(({ status }) => status === 'active');
  return active.find((key) => key.alg === alg) ?? active[0];
};
