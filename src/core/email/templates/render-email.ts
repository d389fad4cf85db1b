import { countCodePoints } from '../../../lib/text.ts';
import type { EmailAddress } from '../../users/email-address.ts';
import { type ApiKeysNotice, type EmailMessage, linkPages } from '../email-message.ts';
import { renderLayout, type RenderedEmail } from './layout.ts';
import { texts } from './texts.ts';

const maxNameCodePoints = 50;

/** Text that an email program may turn into a link, or that a reader may dial: an address, a domain, a number with any spacing. */
const invitesContact = /[/\\@:]|\bwww\b|[\p{L}\p{N}][.。．][\p{L}\p{M}]{2}|\p{N}(?:[^\p{L}\p{N}]*\p{N}){4}/iu;

/** Anyone can register someone else's address under an advertisement as the name, so such names are not repeated. */
const isHarmless = (name: string): boolean => !invitesContact.test(name) && countCodePoints(name) <= maxNameCodePoints;

const maxListedApiKeys = 10;

/** One paragraph per key. An attacker with access to the account chooses the names of their keys. */
function describeApiKeys({ areRevoked, keys }: ApiKeysNotice): string[] {
  if (keys.length === 0) return [];
  const lines = keys
    .slice(0, maxListedApiKeys)
    .map(({ name, prefix }) => (isHarmless(name) ? `- ${name} (${prefix}…)` : `- ${prefix}…`));
  const more = keys.length > maxListedApiKeys ? [`- and ${keys.length - maxListedApiKeys} more`] : [];
  const lead = areRevoked
    ? 'These API keys of your account were revoked:'
    : "These API keys of your account still work. Revoke those that you don't recognize:";
  return [lead, ...lines, ...more];
}

/** Hides the local part except its first character: the owner recognizes the address, others learn nothing. */
const masked = (email: EmailAddress): string => email.replace(/^(.).*(?=@)/, '$1…');

/** Renders an email. Its link begins with `appUrl`, whatever the headers of any request said. */
export function renderEmail({ kind, name, token, newEmail, apiKeys }: EmailMessage, appUrl: string): RenderedEmail {
  const text = texts[kind]({
    hello: isHarmless(name) ? `Hello ${name},` : 'Hello,',
    site: appUrl.replace(/^https?:\/\//, ''),
    toNewEmail: newEmail ? ` to ${masked(newEmail)}` : '',
    hasLink: token !== undefined,
    apiKeys: apiKeys ? describeApiKeys(apiKeys) : [],
  });
  const page = linkPages[kind];
  const url = page && token && `${appUrl}/${page}?token=${encodeURIComponent(token.text)}`;
  return renderLayout(text, url);
}
