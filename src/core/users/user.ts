import { z } from 'zod';
import type { UserId } from '../../lib/ids.ts';
import { unicodeText } from '../../lib/text.ts';
import { countCodePoints } from '../../lib/text.ts';
import { minPasswordLength, maxPasswordLength } from './password-policy.ts';

const example = {
  id: '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10',
  email: 'ada@example.com',
  email_verified: false,
  display_name: 'Ada Lovelace',
  roles: ['user'],
  scopes: ['api-keys', 'profile', 'sessions'],
  mfa_enabled: false,
  created_at: '2026-11-22T09:00:00.000Z',
  updated_at: '2026-11-22T09:00:00.000Z',
};

export const User = z
  .object({
    id: z.uuid().meta({ description: 'The `sub` claim; never given to another account' }),
    email: z.email().meta({ description: 'In lower case' }),
    email_verified: z.boolean().meta({ description: 'Whether the address is known to be theirs' }),
    display_name: z.string().meta({ description: 'A name for people to read' }),
    roles: z.array(z.string()).meta({ description: 'Named sets of scopes' }),
    scopes: z.array(z.string()).meta({ description: 'All that the roles give, elevated scopes too' }),
    mfa_enabled: z.boolean().meta({ description: 'Whether a login asks for a second factor' }),
    created_at: z.iso.datetime().meta({ description: 'When it was registered' }),
    updated_at: z.iso.datetime().meta({ description: 'When its profile last changed' }),
  })
  .meta({ id: 'User', description: 'An account', examples: [example] });

export type User = z.output<typeof User>;

export const userExample = example;

/** A row of `users` with what its roles give. */
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

export const toUser = (row: UserRow): User => ({
  id: row.id,
  email: row.email,
  email_verified: row.emailVerified,
  display_name: row.displayName,
  roles: row.roles,
  scopes: row.heldScopes,
  mfa_enabled: false,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
});

const maxNameCodePoints = 100;

/** A name for people to read: no control characters, not only white space. */
export const DisplayName = unicodeText()
  .trim()
  .refine((name) => countCodePoints(name) >= 1 && countCodePoints(name) <= maxNameCodePoints, {
    error: `must have 1 to ${maxNameCodePoints} characters`,
  })
  .refine((name) => !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(name), {
    error: 'must have no control characters and no directional overrides',
  })
  .refine((name) => name === '' || /[^\p{White_Space}\p{Default_Ignorable_Code_Point}]/u.test(name), {
    error: 'must have a character that can be seen',
  })
  .meta({
    description:
      'A name for people to read; 1 to 100 characters, one that can be seen among them, none a control character',
    minLength: 1,
    maxLength: maxNameCodePoints,
    examples: ['Ada Lovelace'],
  });

/** A password as it is presented: any Unicode text. How good a new one must be is for the password policy to say. */
export const PresentedPassword = unicodeText()
  .min(1, { error: 'must not be empty' })
  .max(1024, { error: 'must have at most 1024 characters' })
  .meta({ description: 'Any Unicode text', format: 'password', examples: ['correct horse battery staple'] });

/** A password to be set. `policy.knownFaults` says with the other faults of the body what is wrong with it. */
export const NewPassword = unicodeText()
  .max(1024, { error: 'must have at most 1024 characters' })
  .meta({
    description: '8 to 128 code points of any kind; common passwords, the e-mail address and the name are refused',
    minLength: minPasswordLength,
    maxLength: maxPasswordLength,
    format: 'password',
    examples: ['correct horse battery staple'],
  });

/** For a schema's `superRefine`: judge a member that is a string even where other members are at fault. */
export const whenText = (member: string) => ({
  when: ({ value }: { value: unknown }) => typeof (value as Record<string, unknown> | null)?.[member] === 'string',
});
