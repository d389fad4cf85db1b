import { countCodePoints } from '../../../kernel/text.ts';
import type { Email } from '../../users/email.ts';

const mostGreetedCodePoints = 50;

/** Letters with what stands between those of a name; no dot that a mail program may take for a domain's. */
const isPlainName = (name: string): boolean =>
  /^[\p{L}\p{M} .'’-]+$/u.test(name) &&
  !/^www\.|\p{L}\.[\p{L}\p{M}]{2}/iu.test(name) &&
  countCodePoints(name) <= mostGreetedCodePoints;

/**
 * How a letter begins. Anybody can register anybody's address, with an advertisement for a name: one that could hold a
 * link or a number to call is not repeated.
 */
export const greeting = (name: string): string => (isPlainName(name) ? `Hello ${name},` : 'Hello,');

/** Enough of an address for whom it belongs to, and for nobody else. */
export const masked = (email: Email): string => email.replace(/^(.).*(?=@)/, '$1…');
