import { z } from 'zod';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { RoleName } from '../../core/authorization/scopes.ts';
import { DisplayName } from '../../core/users/user.ts';
import { toUser, User, userExample } from '../../http/schemas/user.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { hasChanges, pageQuery } from '../../http/schemas/paging.ts';
import { unicodeText } from '../../lib/text.ts';
import type { UserId } from '../../lib/ids.ts';
import { AccountDisabled } from './users.errors.ts';
import type { AdminUsers } from './users.ts';
import { formatCursor, UserCursor } from './cursor.ts';
import type { AdminUserRow } from './user-pages.store.ts';

const example = { ...userExample, is_active: true };

const AdminUser = z
  .object({
    ...User.shape,
    is_active: z.boolean().meta({ description: 'Whether it may log in; API keys of one that may not rest' }),
  })
  .meta({ id: 'AdminUser', description: 'An account, as administrators see it', examples: [example] });

const AdminUserList = z
  .object({
    users: z.array(AdminUser).meta({ description: 'Of a search: by address first, then by name' }),
    next_cursor: z.string().nullable().meta({ description: 'The `cursor` of the next page; null at the end' }),
  })
  .meta({
    id: 'AdminUserList',
    description: 'A page of accounts',
    examples: [{ users: [example], next_cursor: null }],
  });

const maxRoles = 100;

const UpdateUserRequest = z
  .strictObject({
    is_active: z.boolean().optional().meta({ description: 'False ends every session and lets nobody in' }),
    display_name: DisplayName.optional(),
    email_verified: z.boolean().optional().meta({ description: 'Whether the address is known to be theirs' }),
    roles: z
      .array(RoleName)
      .max(maxRoles, { error: `must name at most ${maxRoles} roles` })
      .transform((roles) => [...new Set(roles)])
      .optional()
      .meta({ description: 'All that the account is to have; needs `roles:write`, too' }),
  })
  .refine(...hasChanges)
  .meta({ id: 'UpdateUserRequest', minProperties: 1, examples: [{ roles: ['user'] }] });

const toAdminUser = (row: AdminUserRow) => ({ ...toUser(row), is_active: row.isActive });

const params = z.object({
  id: z
    .uuid()
    .transform((value) => value.toLowerCase() as UserId)
    .meta({ description: 'As in the list' }),
});
const query = pageQuery(UserCursor).extend({
  query: unicodeText()
    .min(1, { error: 'must not be empty' })
    .max(254, { error: 'must have at most 254 characters' })
    .optional()
    .meta({ description: 'What the address or the name begins with, in upper or lower case' }),
});

const reading = { tag: 'Administration', scopes: ['users:read'] } as const;
const writing = { tag: 'Administration', scopes: ['users:write'], params } as const;
const mightier = 'An account with administrative scopes is for those to change who have them, too.';

export const adminUsersRoutes = ({ list, find, change, erase, logOut, unlock, mailReset }: AdminUsers) => [
  endpoint({
    ...reading,
    method: 'get',
    path: '/admin/users',
    operationId: 'listUsers',
    summary: 'List accounts, the newest first, or search them',
    description:
      'A search gives those whose address begins with `query`, by address, then those whose name does, by name. A page of ' +
      'it may have fewer accounts than `limit`, even none, and a page after it: only `next_cursor` tells the end.',
    query,
    response: AdminUserList,
    async handle({ query: { query: text, cursor, limit }, principal }) {
      const { users, next } = await list(principal, { query: text, after: cursor, limit });
      return { users: users.map(toAdminUser), next_cursor: next ? formatCursor(next) : null };
    },
  }),
  endpoint({
    ...reading,
    method: 'get',
    path: '/admin/users/:id',
    operationId: 'getUser',
    summary: 'Read an account',
    params,
    response: AdminUser,
    handle: async ({ params: { id }, principal }) => toAdminUser(await find(principal, id)),
  }),
  endpoint({
    ...writing,
    method: 'patch',
    path: '/admin/users/:id',
    operationId: 'updateUser',
    summary: 'Change, disable or enable an account, or exchange its roles',
    description:
      'Nobody gives or takes a role that gives more than they have; who has the role `admin` disposes of every role. ' +
      `${mightier} The last active administrator keeps the role. Addresses and passwords are their owners’ to change.`,
    body: UpdateUserRequest,
    response: AdminUser,
    errors: [LastAdmin],
    async handle({ params: { id }, body, principal, request }) {
      const { is_active: isActive, display_name: displayName, email_verified: emailVerified, roles } = body;
      return toAdminUser(await change(principal, id, { isActive, displayName, emailVerified, roles }, request));
    },
  }),
  endpoint({
    ...writing,
    method: 'delete',
    path: '/admin/users/:id',
    operationId: 'deleteUser',
    summary: 'Erase an account and everything of it',
    description: `${mightier} The last active administrator stays.`,
    errors: [LastAdmin],
    handle: ({ params: { id }, principal, request }) => erase(principal, id, request),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/logout',
    operationId: 'logoutUser',
    summary: 'End every session of an account',
    description: mightier,
    handle: ({ params: { id }, principal, request }) => logOut(principal, id, request),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/unlock',
    operationId: 'unlockUser',
    summary: 'Lift every lock-out of an account’s address',
    description: mightier,
    handle: ({ params: { id }, principal, request }) => unlock(principal, id, request),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/reset-password',
    operationId: 'mailPasswordReset',
    summary: 'Mail an account a link to set a new password',
    description: `Nobody sets or sees another’s password. ${mightier}`,
    response: Accepted,
    status: 202,
    errors: [EmailDisabled, AccountDisabled],
    async handle({ params: { id }, principal, request }) {
      await mailReset(principal, id, request);
      return accepted('A link is on its way to the address of the account.');
    },
  }),
];
