import { createHash } from 'node:crypto';
import type { Logger } from './log.ts';

/**
 * Looks up passwords in a Pwned Passwords range API. Only the first five digits of the SHA-1 leave this process, and padding hides the
 * number of matches from the network. Accepts the password if the lookup fails, so that an outage there does not stop sign-ups here.
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
      log.warn({ reason: String(error) }, 'the breached-password lookup failed; the password was accepted');
      return false;
    }
  };
}

async function fetchSuffixes(url: string, timeoutMs: number): Promise<Set<string>> {
  const response = await fetch(url, {
    // Another address could learn the digits and answer for the configured service. The status of a redirect is an error below.
    redirect: 'manual',
    headers: { 'Add-Padding': 'true', 'User-Agent': 'keyturn' },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`The breached-password service responded with status ${response.status}.`);
  const suffixes = new Set<string>();
  for (const line of body.split(/\r?\n/)) {
    if (line === '') continue;
    const [, suffix, count] = /^([0-9A-F]{35}):(\d+)$/i.exec(line) ?? [];
    if (suffix === undefined) throw new Error('The response of the breached-password service is not a range.');
    // Padding lines have a count of 0 and a random suffix.
    if (Number(count) > 0) suffixes.add(suffix.toUpperCase());
  }
  return suffixes;
}
