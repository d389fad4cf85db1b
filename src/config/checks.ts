// What single values cannot show.
import { isLoopback } from '../lib/network.ts';
import { schemaOf } from '../platform/postgres/connection.ts';
import type { Mode, Parsed } from './schema.ts';
import { isRandom } from './values.ts';

/** The minimum for Argon2id in OWASP's Password Storage Cheat Sheet: any of these equivalent pairs. */
const argon2Minimums: readonly (readonly [memoryKib: number, iterations: number])[] = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
];

/** What is missing to send emails. Development prints them instead. */
export function emailErrors(mode: Mode, raw: Partial<Record<string, string>>): string[] {
  if (mode === 'development') return [];
  if (!raw['SMTP_URL'] && raw['EMAIL_VERIFICATION'] === 'off') return [];
  return [
    raw['SMTP_URL'] ? [] : 'SMTP_URL is required in production. Set EMAIL_VERIFICATION=off to run without email',
    raw['MAIL_FROM'] ? [] : 'MAIL_FROM is required with SMTP_URL: the sender of the emails',
  ].flat();
}

/** Migrations and commands would otherwise use other tables than the pool. A URL that cannot be parsed has an error of its own. */
export function schemaErrors(url: string | undefined, directUrl: string | undefined): string[] {
  const [pooled, direct] = [url, directUrl].map((text) => text !== undefined && URL.canParse(text) && new URL(text));
  if (!pooled || !direct || schemaOf(pooled) === schemaOf(direct)) return [];
  return ['DATABASE_URL and DATABASE_DIRECT_URL must have the same schema'];
}

/** Errors of values that are valid on their own but not together. Invalid values are missing: they have errors of their own. */
export function combinationErrors(parsed: Partial<Parsed>, poolThreads: number): string[] {
  const errors = schemaErrors(parsed.DATABASE_URL, parsed.DATABASE_DIRECT_URL);
  const { ARGON2_MEMORY_KIB: memory = Infinity, ARGON2_ITERATIONS: iterations = Infinity } = parsed;
  if (!argon2Minimums.some(([m, t]) => memory >= m && iterations >= t))
    errors.push(
      `ARGON2_MEMORY_KIB ${memory} with ARGON2_ITERATIONS ${iterations} is weaker than OWASP's minimum, such as 19456 with 2`,
    );
  if (memory < 8 * (parsed.ARGON2_PARALLELISM ?? 0))
    errors.push('ARGON2_MEMORY_KIB must be at least 8 times ARGON2_PARALLELISM (RFC 9106 section 3.1)');
  if (parsed.HASH_CONCURRENCY !== undefined && parsed.HASH_CONCURRENCY >= poolThreads)
    errors.push(
      `HASH_CONCURRENCY ${parsed.HASH_CONCURRENCY} fills the thread pool of ${poolThreads}. Run npm start, which sets its size, or set UV_THREADPOOL_SIZE`,
    );
  if ((parsed.ISSUER?.length ?? 0) + (parsed.AUDIENCE?.length ?? 0) > 1000)
    errors.push(
      'ISSUER and AUDIENCE must have at most 1000 characters together, because every access token contains them',
    );
  if (parsed.COOKIE_SAMESITE === 'none' && parsed.ISSUER?.startsWith('http:'))
    errors.push(
      'COOKIE_SAMESITE=none requires an https ISSUER, because browsers accept such cookies only if they are Secure',
    );
  if (parsed.COOKIE_PARTITIONED === 'on' && (parsed.COOKIE_SAMESITE ?? 'none') !== 'none')
    errors.push(
      'COOKIE_PARTITIONED=on requires COOKIE_SAMESITE=none, because browsers send no other cookies to another site',
    );
  return errors;
}

/** Values that are valid but that an operator should know about. Contains no values of secrets. */
export function warningsOf(mode: Mode, { SMTP_URL: smtp, MASTER_KEYS: keys }: Parsed): string[] {
  if (mode === 'development') return [];
  const warnings: string[] = [];
  // With credentials, the mailer requires STARTTLS.
  if (smtp?.startsWith('smtp:') && new URL(smtp).username === '' && !isLoopback(smtp))
    warnings.push(
      'SMTP_URL allows connections without TLS, and the links in emails reset passwords. Use smtps://, or smtp:// with a user, which requires STARTTLS',
    );
  if (!keys.every(isRandom))
    warnings.push(
      'MASTER_KEYS contains a key that is not random. Remove it after SESSION_TTL: anyone can forge its tokens',
    );
  return warnings;
}
