import type { SigningAlg } from './signing-key.ts';

export interface KeyConfig {
  jwtAlg: SigningAlg;
  jwksMaxAgeSeconds: number;
  accessTtlSeconds: number;
  /** Undefined: a key signs until an operator requests a rotation. */
  signingKeyRotationSeconds: number | undefined;
}

/** The maximum delay of a verifier's clock. */
const maxClockSkewSeconds = 60;
/** The time for every process to publish a key that another process created, in addition to the cache lifetimes. */
const maxPublicationMarginSeconds = 60;
const maxPollSeconds = 5;

/** Longer than the replacement of a process takes, and a multiple of `usageUpdateSeconds`. */
export const unusedAfterSeconds = 600;
/** The maximum age of `wanted_at` while a process uses the algorithm. All processes together write once in this time. */
export const usageUpdateSeconds = 60;

/** The durations of the key life cycle that follow from the configuration. */
export interface KeyTiming {
  /** How long a key signs before the next one is due; null without automatic rotation. */
  rotationSeconds: number | null;
  /** How long a key is published before it signs. After this time no cache lacks it. */
  publicationSeconds: number;
  accessTtlSeconds: number;
  /** How long a retired key is published after its last token has expired. */
  retentionSeconds: number;
  pollSeconds: number;
}

export function keyTimingOf(config: KeyConfig): KeyTiming {
  const { jwksMaxAgeSeconds, accessTtlSeconds, signingKeyRotationSeconds = null } = config;
  const marginSeconds = Math.min(maxPublicationMarginSeconds, jwksMaxAgeSeconds);
  return {
    rotationSeconds: signingKeyRotationSeconds,
    publicationSeconds: 2 * jwksMaxAgeSeconds + marginSeconds, // max-age, then stale-while-revalidate
    accessTtlSeconds,
    retentionSeconds: jwksMaxAgeSeconds + maxClockSkewSeconds,
    pollSeconds: Math.min(maxPollSeconds, marginSeconds / 3), // a process can miss a poll and stay within the margin
  };
}
