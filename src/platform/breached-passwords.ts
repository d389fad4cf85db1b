import { createHash } from 'node:crypto';
import type { Logger } from './log.ts';

/**
 * The Pwned Passwords range lookup: only the first five digits of the SHA-1 leave this process, and padding hides from
 * the network how many passwords share them. Fails open, or an outage there would stop every sign-up here.
 */
export function makeBreachLookup(
  url: string,
  log: Pick<Logger, 'warn'>,
  timeoutMs = 2000,
): (password: string) => Promise<boolean> {
  const base = url.replace(/\/+$/, '');
  return async (password) => {
    const digest = createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase();
    try {
      const suffixes = await fetchSuffixes(`${base}/${digest.slice(0, 5)}`, timeoutMs);
      return suffixes.has(digest.slice(5));
    } catch (error) {
      log.warn({ reason: String(error) }, 'the breached-password service did not answer; the password was accepted');
      return false;
    }
  };
}

async function fetchSuffixes(address: string, timeoutMs: number): Promise<Set<string>> {
  const response = await fetch(address, {
    headers: { 'Add-Padding': 'true', 'User-Agent': 'keyturn' },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`The breached-password service answered with status ${response.status}.`);
  const suffixes = new Set<string>();
  for (const line of body.split(/\r?\n/)) {
    if (line === '') continue;
    const [, suffix, count] = /^([0-9A-F]{35}):(\d+)$/i.exec(line) ?? [];
    if (suffix === undefined)
      throw new Error('The breached-password service answered with something else than a range.');
    // Padding lines have a count of 0 and a made-up suffix.
    if (Number(count) > 0) suffixes.add(suffix.toUpperCase());
  }
  return suffixes;
}
