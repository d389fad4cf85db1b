import { z } from 'zod';
import type { UserId } from '../../kernel/id.ts';
import { codePoints, text } from '../../http/schemas.ts';

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
    id: z.uuid(),
    email: z.email(),
    email_verified: z.boolean(),
    display_name: z.string(),
    roles: z.array(z.string()),
    scopes: z.array(z.string()).meta({ description: 'All that the roles give, elevated scopes too' }),
    mfa_enabled: z.boolean(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
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

const mostNameCodePoints = 100;

/** A name for people to read: no control characters, not only white space. */
export const DisplayName = text()
  .trim()
  .refine((name) => codePoints(name) >= 1 && codePoints(name) <= mostNameCodePoints, {
    error: `must have 1 to ${mostNameCodePoints} characters`,
  })
  .refine((name) => !/\p{Cc}/u.test(name), { error: 'must have no control characters' })
  .meta({ examples: ['Ada Lovelace'] });

/** A password as it is presented: any Unicode text. How good a new one must be is for the password policy to say. */
export const PresentedPassword = text()
  .min(1, { error: 'must not be empty' })
  .max(1024, { error: 'must have at most 1024 characters' })
  .meta({ format: 'password', examples: ['correct horse battery staple'] });
