import { countCodePoints } from '../../../lib/text.ts';
import type { EmailAddress } from '../../users/email-address.ts';

const maxGreetedCodePoints = 50;

/** What a mail program may make a link of, or a reader call: an address, a domain, a number, however it is spaced. */
const callsForMore = /[/\\@:]|\bwww\b|[\p{L}\p{N}][.。．][\p{L}\p{M}]{2}|\p{N}(?:[^\p{L}\p{N}]*\p{N}){4}/iu;

const isFit = (name: string): boolean => !callsForMore.test(name) && countCodePoints(name) <= maxGreetedCodePoints;

/**
 * How a letter begins. Anybody can register anybody's address, with an advertisement for a name: one that could hold a
 * link or a number to call is not repeated.
 */
export const greeting = (name: string): string => (isFit(name) ? `Hello ${name},` : 'Hello,');

/** Enough of an address for whom it belongs to, and for nobody else. */
export const masked = (email: EmailAddress): string => email.replace(/^(.).*(?=@)/, '$1…');
