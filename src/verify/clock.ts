/** Where the time comes from, in milliseconds since the epoch; a test hands in its own. */
export const systemNowMs = (): number => Date.now();
