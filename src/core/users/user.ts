import { z } from 'zod';
import type { UserId } from '../../lib/ids.ts';
import { countCodePoints, unicodeText } from '../../lib/text.ts';
import { maxPasswordLength, minPasswordLength } from './password-policy.ts';

/** A row of `users` with the roles and scopes that the user holds. */
export interface UserRow {
  id: UserId;
  email: string;
  emailVerified: boolean;
  displayName: string;
  roles: string[];
  heldScopes: string[];
  createdAt: Date;
  updatedAt: Date;
}

const maxNameLength = 100;

/** A display name: visible, without control characters or directional overrides. */
export const DisplayName = unicodeText()
  .trim()
  .refine((name) => countCodePoints(name) >= 1 && countCodePoints(name) <= maxNameLength, {
    error: `must have 1 to ${maxNameLength} characters`,
  })
  .refine((name) => !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(name), {
    error: 'must have no control characters and no directional overrides',
  })
  .refine((name) => name === '' || /[^\p{White_Space}\p{Default_Ignorable_Code_Point}]/u.test(name), {
    error: 'must have at least one visible character',
  })
  .meta({
    description: 'A name for people. 1 to 100 characters, at least one of them visible, without control characters',
    minLength: 1,
    maxLength: maxNameLength,
    examples: ['Ada Lovelace'],
  });

/** An existing password: any Unicode text. The password policy applies only to new passwords. */
export const PresentedPassword = unicodeText()
  .min(1, { error: 'must not be empty' })
  .max(1024, { error: 'must have at most 1024 characters' })
  .meta({ description: 'Any Unicode text', format: 'password', examples: ['correct horse battery staple'] });

/** A new password. The schema's `superRefine` reports violations of the password policy together with other errors. */
export const NewPassword = unicodeText()
  .max(1024, { error: 'must have at most 1024 characters' })
  .meta({
    description: '8 to 128 characters of any kind. Common passwords, the email address and the name are rejected',
    minLength: minPasswordLength,
    maxLength: maxPasswordLength,
    format: 'password',
    examples: ['correct horse battery staple'],
  });

/** For `superRefine`: also checks the member if other members are invalid, provided that it is a string. */
export const whenText = (member: string) => ({
  when: ({ value }: { value: unknown }) => z.looseObject({ [member]: z.string() }).safeParse(value).success,
});
