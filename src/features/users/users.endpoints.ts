import { z } from 'zod';
import { RoleName } from '../../core/authorization/scopes.ts';
import { maxGrantsLength } from '../../core/authorization/token-budget.ts';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { Conflict } from '../../core/errors.ts';
import { DisplayName } from '../../core/users/user.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { hasChanges, nextCursor, pageQuery, uuidOf } from '../../http/schemas/paging.ts';
import { LogoutAllRequest } from '../../http/schemas/revoke-api-keys.ts';
import { toUser, User, userExample } from '../../http/schemas/user.ts';
import type { UserId } from '../../lib/ids.ts';
import { sortedUnique } from '../../lib/sets.ts';
import { unicodeText } from '../../lib/text.ts';
import { makeDeleteUser } from './delete-user.ts';
import { makeGetUser } from './get-user.ts';
import { makeListUsers, type ReadUsersDeps } from './list-users.ts';
import { makeLogoutUser } from './logout-user.ts';
import { makeSendPasswordReset, type SendPasswordResetDeps } from './send-password-reset.ts';
import { makeUnlockUser, type UnlockUserDeps } from './unlock-user.ts';
import type { ChangeUserDeps } from './target-user.ts';
import { makeUpdateUser } from './update-user.ts';
import { formatCursor, UserCursor } from './user-cursor.ts';
import type { UserDetails } from './users.sql.ts';

const example = { ...userExample, is_active: true };

const AdminUser = z
  .object({
    ...User.shape,
    is_active: z.boolean().meta({ description: 'Whether the user can log in and the API keys work' }),
  })
  .meta({ id: 'AdminUser', description: 'An account, as administrators see it', examples: [example] });

const AdminUserList = z
  .object({
    users: z.array(AdminUser).meta({ description: 'Newest first; in a search by email address, then by name' }),
    next_cursor: nextCursor,
  })
  .meta({
    id: 'AdminUserList',
    description: 'A page of accounts',
    examples: [{ users: [example], next_cursor: null }],
  });

const UpdateUserRequest = z
  .strictObject({
    is_active: z
      .boolean()
      .optional()
      .meta({
        description:
          'False revokes every session and emailed link of the user, prevents logins and suspends the API keys, which work again when the ' +
          'user is enabled',
      }),
    display_name: DisplayName.optional(),
    email_verified: z.boolean().optional().meta({ description: 'Whether the email address is verified' }),
    roles: z
      .array(RoleName)
      .max(100, { error: 'must contain at most 100 roles' })
      .transform(sortedUnique)
      .optional()
      .meta({
        description: `Replaces all roles of the user. Requires \`roles:write\`. The names of the roles and their scopes can have ${maxGrantsLength} characters in total`,
      }),
  })
  .refine(...hasChanges)
  .meta({ id: 'UpdateUserRequest', minProperties: 1, examples: [{ roles: ['user'] }] });

const toAdminUser = (row: UserDetails) => ({ ...toUser(row), is_active: row.isActive });

const params = z.object({ id: uuidOf<UserId>().meta({ description: 'The `id` of the user' }) });
const listQuery = pageQuery(UserCursor).extend({
  query: unicodeText()
    .min(1, { error: 'must not be empty' })
    .max(254, { error: 'must have at most 254 characters' })
    .optional()
    .meta({ description: 'The beginning of an email address or of a name. Case-insensitive' }),
});

const reading = { tag: 'Administration', scopes: ['users:read'] } as const;
const writing = { tag: 'Administration', scopes: ['users:write'], params } as const;
const outranked =
  'Accounts with administrative scopes can be changed only by administrators who hold the same scopes, and holders of the role ' +
  '`admin` only by logged-in users who hold it.';

export function userEndpoints(
  deps: ReadUsersDeps & ChangeUserDeps & UnlockUserDeps & SendPasswordResetDeps,
): Endpoint[] {
  const listUsers = makeListUsers(deps);
  const getUser = makeGetUser(deps);
  const updateUser = makeUpdateUser(deps);
  const deleteUser = makeDeleteUser(deps);
  const logoutUser = makeLogoutUser(deps);
  const unlockUser = makeUnlockUser(deps);
  const sendPasswordReset = makeSendPasswordReset(deps);
  return [
    endpoint({
      ...reading,
      method: 'get',
      path: '/admin/users',
      operationId: 'listUsers',
      summary: 'List or search accounts',
      description:
        'Without `query`, lists all accounts, newest first. A search returns accounts whose email address starts with `query`, ' +
        'by address, followed by the other accounts whose name starts with it, by name.',
      query: listQuery,
      response: AdminUserList,
      async handle({ query: { query, cursor: after, limit }, principal }) {
        const { users, next } = await listUsers(principal, { query, after, limit });
        return { users: users.map(toAdminUser), next_cursor: next ? formatCursor(next) : null };
      },
    }),
    endpoint({
      ...reading,
      method: 'get',
      path: '/admin/users/:id',
      operationId: 'getUser',
      summary: 'Get an account',
      params,
      response: AdminUser,
      handle: async ({ params: { id }, principal }) => toAdminUser(await getUser(principal, id)),
    }),
    endpoint({
      ...writing,
      method: 'patch',
      path: '/admin/users/:id',
      operationId: 'updateUser',
      summary: 'Change, disable or enable an account, or replace its roles',
      description:
        'Holders of the role `admin` can grant and withdraw any role, others only roles other than `admin` whose scopes they hold. ' +
        'An API key can grant and withdraw only roles other than `admin` whose scopes it has. ' +
        `${outranked} The last active administrator keeps the role. Only owners can change email addresses and passwords.`,
      body: UpdateUserRequest,
      response: AdminUser,
      errors: [LastAdmin],
      async handle({ params: { id }, body, principal, request }) {
        const { is_active: isActive, display_name: displayName, email_verified: emailVerified, roles } = body;
        return toAdminUser(await updateUser(principal, id, { isActive, displayName, emailVerified, roles }, request));
      },
    }),
    endpoint({
      ...writing,
      method: 'delete',
      path: '/admin/users/:id',
      operationId: 'deleteUser',
      summary: 'Delete an account and all its data',
      description: `${outranked} The last active administrator cannot be deleted.`,
      errors: [LastAdmin],
      handle: ({ params: { id }, principal, request }) => deleteUser(principal, id, request),
    }),
    endpoint({
      ...writing,
      method: 'post',
      path: '/admin/users/:id/logout',
      operationId: 'logoutUser',
      summary: 'Revoke every session of an account',
      description: `API keys keep working unless \`revoke_api_keys\` is true. The body is optional. ${outranked}`,
      body: LogoutAllRequest,
      optionalBody: true,
      handle: ({ params: { id }, body, principal, request }) =>
        logoutUser(principal, id, { revokesApiKeys: body.revoke_api_keys }, request),
    }),
    endpoint({
      ...writing,
      method: 'post',
      path: '/admin/users/:id/unlock',
      operationId: 'unlockUser',
      summary: 'End the lockout of an account',
      description: outranked,
      handle: ({ params: { id }, principal, request }) => unlockUser(principal, id, request),
    }),
    endpoint({
      ...writing,
      method: 'post',
      path: '/admin/users/:id/reset-password',
      operationId: 'mailPasswordReset',
      summary: 'Email an account a link to set a new password',
      description: `Administrators cannot set or read passwords. ${outranked}`,
      response: Accepted,
      status: 202,
      errors: [EmailDisabled, Conflict],
      async handle({ params: { id }, principal, request }) {
        await sendPasswordReset(principal, id, request);
        return accepted('A link was sent to the email address of the account.');
      },
    }),
  ];
}
