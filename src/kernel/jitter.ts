/** A time around `ms`, a fifth more or less, so that processes that start together do not act together. */
export const jittered = (ms: number): number => ms * (0.8 + 0.4 * Math.random());
