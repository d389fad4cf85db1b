import { countCodePoints } from '../../../lib/text.ts';
import type { EmailAddress } from '../../users/email-address.ts';
import { type EmailMessage, linkPages } from '../email-message.ts';
import { renderLayout, type RenderedEmail } from './layout.ts';
import { texts } from './texts.ts';

const maxGreetedCodePoints = 50;

/** Text that an email program may turn into a link, or that a reader may dial: an address, a domain, a number with any spacing. */
const invitesContact = /[/\\@:]|\bwww\b|[\p{L}\p{N}][.。．][\p{L}\p{M}]{2}|\p{N}(?:[^\p{L}\p{N}]*\p{N}){4}/iu;

/** Anyone can register someone else's address under an advertisement as the name, so such names are not repeated. */
const isGreetable = (name: string): boolean =>
  !invitesContact.test(name) && countCodePoints(name) <= maxGreetedCodePoints;

/** Hides the local part except its first character: the owner recognizes the address, others learn nothing. */
const masked = (email: EmailAddress): string => email.replace(/^(.).*(?=@)/, '$1…');

/** Renders an email. Its link begins with `appUrl`, whatever the headers of any request said. */
export function renderEmail({ kind, name, token, newEmail }: EmailMessage, appUrl: string): RenderedEmail {
  const text = texts[kind]({
    hello: isGreetable(name) ? `Hello ${name},` : 'Hello,',
    site: appUrl.replace(/^https?:\/\//, ''),
    toNewEmail: newEmail ? ` to ${masked(newEmail)}` : '',
    hasLink: token !== undefined,
  });
  const page = linkPages[kind];
  const url = page && token && `${appUrl}/${page}?token=${encodeURIComponent(token.text)}`;
  return renderLayout(text, url);
}
