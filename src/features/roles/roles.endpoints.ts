import { z } from 'zod';
import { RoleName, ScopeName } from '../../core/authorization/scopes.ts';
import { maxGrantsLength } from '../../core/authorization/token-budget.ts';
import { Conflict } from '../../core/errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { hasChanges, nextCursor, pageQuery } from '../../http/schemas/paging.ts';
import { sortedUnique } from '../../lib/sets.ts';
import { unicodeText } from '../../lib/text.ts';
import { makeUpdateRole } from './update-role.ts';
import { type ChangeRolesDeps, makeCreateRole } from './create-role.ts';
import { makeDeleteRole } from './delete-role.ts';
import { type ListRolesDeps, makeListRoles } from './list-roles.ts';
import type { RoleRow } from './roles.sql.ts';

const example = {
  name: 'editor',
  description: 'Writes for the magazine',
  scopes: ['articles:write'],
  built_in: false,
  created_at: '2026-11-22T09:00:00.000Z',
};

const Role = z
  .object({
    name: z.string().meta({ description: 'The name in the `roles` claim of access tokens' }),
    description: z.string().meta({ description: 'A description for people' }),
    scopes: z.array(z.string()).meta({ description: 'The scopes of users who have the role' }),
    built_in: z.boolean().meta({ description: 'Whether the role is part of the service and cannot be changed' }),
    created_at: z.iso.datetime().meta({ description: 'When the role was created' }),
  })
  .meta({ id: 'Role', description: 'A named set of scopes', examples: [example] });

const RoleList = z
  .object({ roles: z.array(Role).meta({ description: 'Sorted by name' }), next_cursor: nextCursor })
  .meta({ id: 'RoleList', description: 'A page of roles', examples: [{ roles: [example], next_cursor: null }] });

const Description = unicodeText()
  .max(200, { error: 'must have at most 200 characters' })
  .meta({ description: 'A description for people', examples: [example.description] });

const Scopes = z
  .array(ScopeName)
  .max(100, { error: 'must contain at most 100 scopes' })
  .transform(sortedUnique)
  .meta({ description: 'Scopes of this service or of your own services. You do not need to register your own scopes' });

const CreateRoleRequest = z
  .strictObject({
    name: RoleName.meta({ description: 'The name in the `roles` claim of access tokens. It cannot be changed later' }),
    description: Description.default(''),
    scopes: Scopes,
  })
  .meta({ id: 'CreateRoleRequest', examples: [{ name: 'editor', scopes: ['articles:write'] }] });

const UpdateRoleRequest = z
  .strictObject({ description: Description.optional(), scopes: Scopes.optional() })
  .refine(...hasChanges)
  .meta({ id: 'UpdateRoleRequest', minProperties: 1, examples: [{ scopes: ['articles:publish', 'articles:write'] }] });

const toRole = ({ name, description, scopes, builtIn, createdAt }: RoleRow) => ({
  name,
  description,
  scopes,
  built_in: builtIn,
  created_at: createdAt.toISOString(),
});

const common = { tag: 'Administration', scopes: ['roles:write'] } as const;
const params = z.object({ name: RoleName.meta({ description: 'The `name` of the role' }) });

export function roleEndpoints(deps: ListRolesDeps & ChangeRolesDeps): Endpoint[] {
  const listRoles = makeListRoles(deps);
  const createRole = makeCreateRole(deps);
  const updateRole = makeUpdateRole(deps);
  const deleteRole = makeDeleteRole(deps);
  return [
    endpoint({
      ...common,
      method: 'get',
      path: '/admin/roles',
      operationId: 'listRoles',
      summary: 'List roles',
      query: pageQuery(RoleName),
      response: RoleList,
      async handle({ query, principal }) {
        const { rows, next } = await listRoles(principal, query.cursor, query.limit);
        return { roles: rows.map(toRole), next_cursor: next?.name ?? null };
      },
    }),
    endpoint({
      ...common,
      method: 'post',
      path: '/admin/roles',
      operationId: 'createRole',
      summary: 'Create a role',
      description:
        'Holders of the role `admin` can use any scope, others only scopes that they hold. The names of the roles and scopes of an ' +
        `account can have ${maxGrantsLength} characters in total, because access tokens contain them. If a repeated request returns 409 ` +
        'after a lost response, `GET /admin/roles` shows the role.',
      body: CreateRoleRequest,
      response: Role,
      status: 201,
      errors: [Conflict],
      handle: async ({ body, principal, request }) => toRole(await createRole(principal, body, request)),
    }),
    endpoint({
      ...common,
      method: 'patch',
      path: '/admin/roles/:name',
      operationId: 'updateRole',
      summary: 'Change a role',
      description:
        'The change reaches access tokens at their next refresh. Holders of the role `admin` can add and remove any scope, others only scopes that they hold. Returns 409 if the access tokens of a holder would become too long.',
      params,
      body: UpdateRoleRequest,
      response: Role,
      errors: [Conflict],
      handle: async ({ params: { name }, body, principal, request }) =>
        toRole(await updateRole(principal, name, body, request)),
    }),
    endpoint({
      ...common,
      method: 'delete',
      path: '/admin/roles/:name',
      operationId: 'deleteRole',
      summary: 'Delete a role that no user has',
      params,
      errors: [Conflict],
      handle: ({ params: { name }, principal, request }) => deleteRole(principal, name, request),
    }),
  ];
}
