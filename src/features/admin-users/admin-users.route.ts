import { z } from 'zod';
import { Accepted, accepted } from '../../core/mails/accepted.ts';
import { MailDisabled } from '../../core/mails/mails.errors.ts';
import { RoleName } from '../../core/scopes/scopes.ts';
import { DisplayName, toUser, User, userExample } from '../../core/users/user.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { namesSomething, nothingNamed, pageQuery, text } from '../../http/schemas.ts';
import type { UserId } from '../../kernel/id.ts';
import { AccountDisabled } from './admin-users.errors.ts';
import type { AdminUsers } from './admin-users.ts';
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

const mostRoles = 100;

const UpdateUserRequest = z
  .strictObject({
    is_active: z.boolean().optional().meta({ description: 'False ends every session and lets nobody in' }),
    display_name: DisplayName.optional(),
    email_verified: z.boolean().optional().meta({ description: 'Whether the address is known to be theirs' }),
    roles: z
      .array(RoleName)
      .max(mostRoles, { error: `must name at most ${mostRoles} roles` })
      .transform((roles) => [...new Set(roles)])
      .optional()
      .meta({ description: 'All that the account is to have; needs `roles:write`, too' }),
  })
  .refine(namesSomething, nothingNamed)
  .meta({ id: 'UpdateUserRequest', minProperties: 1, examples: [{ roles: ['user'] }] });

const toAdminUser = (row: AdminUserRow) => ({ ...toUser(row), is_active: row.isActive });

const params = z.object({
  id: z
    .uuid()
    .transform((value) => value.toLowerCase() as UserId)
    .meta({ description: 'As in the list' }),
});
const query = pageQuery(UserCursor).extend({
  query: text()
    .min(1, { error: 'must not be empty' })
    .max(254, { error: 'must have at most 254 characters' })
    .optional()
    .meta({ description: 'What the address or the name begins with, in upper or lower case' }),
});

const reading = { tag: 'Administration', needs: 'users:read' } as const;
const writing = { tag: 'Administration', needs: 'users:write', params } as const;
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
    reply: AdminUserList,
    async handle({ query: { query: text, cursor, limit }, caller }) {
      const { users, next } = await list(caller, { query: text, after: cursor, limit });
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
    reply: AdminUser,
    handle: async ({ params: { id }, caller }) => toAdminUser(await find(caller, id)),
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
    reply: AdminUser,
    refusals: [LastAdmin],
    async handle({ params: { id }, body, caller, client }) {
      const { is_active: isActive, display_name: displayName, email_verified: emailVerified, roles } = body;
      return toAdminUser(await change(caller, id, { isActive, displayName, emailVerified, roles }, client));
    },
  }),
  endpoint({
    ...writing,
    method: 'delete',
    path: '/admin/users/:id',
    operationId: 'deleteUser',
    summary: 'Erase an account and everything of it',
    description: `${mightier} The last active administrator stays.`,
    refusals: [LastAdmin],
    handle: ({ params: { id }, caller, client }) => erase(caller, id, client),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/logout',
    operationId: 'logoutUser',
    summary: 'End every session of an account',
    description: mightier,
    handle: ({ params: { id }, caller, client }) => logOut(caller, id, client),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/unlock',
    operationId: 'unlockUser',
    summary: 'Lift every lock-out of an account’s address',
    description: mightier,
    handle: ({ params: { id }, caller, client }) => unlock(caller, id, client),
  }),
  endpoint({
    ...writing,
    method: 'post',
    path: '/admin/users/:id/reset-password',
    operationId: 'mailPasswordReset',
    summary: 'Mail an account a link to set a new password',
    description: `Nobody sets or sees another’s password. ${mightier}`,
    reply: Accepted,
    status: 202,
    refusals: [MailDisabled, AccountDisabled],
    async handle({ params: { id }, caller, client }) {
      await mailReset(caller, id, client);
      return accepted('A link is on its way to the address of the account.');
    },
  }),
];
