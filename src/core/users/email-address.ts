import { z } from 'zod';

declare const brand: unique symbol;
/** An address in its one canonical form: ASCII, lower case. */
export type EmailAddress = string & { readonly [brand]: 'Email' };

/** A dot-atom of at most 64 characters (RFC 5321 section 4.5.3.1.1), then a domain of two labels or more. */
const pattern =
  /^(?=.{1,64}@)[a-z\d!#$%&'*+/=?^_`{|}~-]+(\.[a-z\d!#$%&'*+/=?^_`{|}~-]+)*@([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)+[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/i;

/**
 * ASCII only, and checked to be so before it is lower-cased: `toLowerCase` makes a `k` of the Kelvin sign, and with
 * Unicode in addresses there would be look-alikes that the eye cannot part. An internationalised domain is written in
 * its `xn--` form.
 */
export const EmailAddress = z
  .string()
  .trim()
  .max(254, { error: 'must have at most 254 characters' })
  .regex(pattern, { error: 'must be an e-mail address in ASCII, such as ada@example.com' })
  .transform((address) => address.toLowerCase() as EmailAddress)
  .meta({ description: 'ASCII only; upper and lower case are one', format: 'email', examples: ['ada@example.com'] });
