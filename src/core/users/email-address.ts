import { z } from 'zod';

declare const brand: unique symbol;
/** An email address in canonical form: ASCII, lower case. */
export type EmailAddress = string & { readonly [brand]: 'EmailAddress' };

/** A dot-atom of at most 64 characters (RFC 5321 section 4.5.3.1.1) and a domain of at least two labels. */
const pattern =
  /^(?=.{1,64}@)[a-z\d!#$%&'*+/=?^_`{|}~-]+(\.[a-z\d!#$%&'*+/=?^_`{|}~-]+)*@([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)+[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/i;

const isCanonical = (address: string): address is EmailAddress => address === address.toLowerCase();

/**
 * Only ASCII, checked before the conversion to lower case: `toLowerCase` turns the Kelvin sign into a `k`, and Unicode contains
 * characters that look alike. Internationalized domains are written in their `xn--` form.
 */
export const EmailAddress = z
  .string()
  .trim()
  .max(254, { error: 'must have at most 254 characters' })
  .regex(pattern, { error: 'must be an ASCII email address, such as ada@example.com' })
  .transform((address) => {
    const canonical = address.toLowerCase();
    return isCanonical(canonical) ? canonical : z.NEVER;
  })
  .meta({ description: 'ASCII only. Case is ignored', format: 'email', examples: ['ada@example.com'] });

const dotlessDomains = ['gmail.com', 'googlemail.com'];

/**
 * The mailbox that receives the email of an address, as far as the address shows it: most providers ignore `+` and what follows it,
 * and Gmail also ignores dots. Only for counting: with another provider, two such addresses can belong to two people.
 */
export function mailboxOf(address: EmailAddress): string {
  const [local = '', domain = ''] = address.split('@');
  const name = local.replace(/(?<=.)\+.*$/, '');
  return dotlessDomains.includes(domain) ? `${name.replaceAll('.', '')}@gmail.com` : `${name}@${domain}`;
}
