import { z } from 'zod';
import type { UserRow } from '../../core/users/user.ts';

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
    id: z.uuid().meta({ description: 'The `sub` claim of access tokens. Never reused' }),
    email: z.email().meta({ description: 'The email address, in lower case' }),
    email_verified: z.boolean().meta({ description: 'Whether the user has verified the email address' }),
    display_name: z.string().meta({ description: 'A name that the user chose' }),
    roles: z.array(z.string()).meta({ description: 'The roles of the user. A role is a named set of scopes' }),
    scopes: z.array(z.string()).meta({ description: 'All scopes of the roles, including elevated scopes' }),
    mfa_enabled: z.boolean().meta({ description: 'Whether a login requires a second factor' }),
    created_at: z.iso.datetime().meta({ description: 'When the account was created' }),
    updated_at: z.iso.datetime().meta({ description: 'When the profile last changed' }),
  })
  .meta({ id: 'User', description: 'An account', examples: [example] });

export type User = z.output<typeof User>;

export const userExample = example;

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
