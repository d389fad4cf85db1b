import { z } from 'zod';
import { RoleName, ScopeName } from '../../core/scopes/scopes.ts';
import { endpoint } from '../../http/endpoint.ts';
import { namesSomething, nothingNamed, pageQuery, text } from '../../http/schemas.ts';
import { RoleExists, RoleFixed } from './admin-roles.errors.ts';
import type { RoleRow } from './admin-roles.store.ts';
import type { AdminRoles } from './admin-roles.ts';

const example = {
  name: 'editor',
  description: 'Writes for the magazine',
  scopes: ['articles:write'],
  built_in: false,
  created_at: '2026-11-22T09:00:00.000Z',
};

const Role = z
  .object({
    name: z.string().meta({ description: 'As in the `roles` of tokens' }),
    description: z.string().meta({ description: 'For people to read' }),
    scopes: z.array(z.string()).meta({ description: 'What it gives' }),
    built_in: z.boolean().meta({ description: 'Whether it came with the service, and stays as it is' }),
    created_at: z.iso.datetime().meta({ description: 'When it was made' }),
  })
  .meta({ id: 'Role', description: 'A named set of scopes', examples: [example] });

const RoleList = z
  .object({
    roles: z.array(Role).meta({ description: 'By name' }),
    next_cursor: z.string().nullable().meta({ description: 'The `cursor` of the next page; null at the end' }),
  })
  .meta({ id: 'RoleList', description: 'A page of roles', examples: [{ roles: [example], next_cursor: null }] });

const Description = text()
  .max(200, { error: 'must have at most 200 characters' })
  .meta({ description: 'For people to read', examples: [example.description] });

const Scopes = z
  .array(ScopeName)
  .max(100, { error: 'must name at most 100 scopes' })
  .transform((scopes) => [...new Set(scopes)].toSorted())
  .meta({ description: 'Of this service, or of services behind it: those need no registration' });

const CreateRoleRequest = z
  .strictObject({
    name: RoleName.meta({ description: 'As it will stand in tokens; never changed' }),
    description: Description.default(''),
    scopes: Scopes,
  })
  .meta({ id: 'CreateRoleRequest', examples: [{ name: 'editor', scopes: ['articles:write'] }] });

const UpdateRoleRequest = z
  .strictObject({ description: Description.optional(), scopes: Scopes.optional() })
  .refine(namesSomething, nothingNamed)
  .meta({ id: 'UpdateRoleRequest', minProperties: 1, examples: [{ scopes: ['articles:publish', 'articles:write'] }] });

const toRole = ({ name, description, scopes, builtIn, createdAt }: RoleRow) => ({
  name,
  description,
  scopes,
  built_in: builtIn,
  created_at: createdAt.toISOString(),
});

const common = { tag: 'Administration', needs: 'roles:write' } as const;
const params = z.object({ name: RoleName.meta({ description: 'As in the list' }) });

export const adminRolesRoutes = ({ list, create, change, remove }: AdminRoles) => [
  endpoint({
    ...common,
    method: 'get',
    path: '/admin/roles',
    operationId: 'listRoles',
    summary: 'List roles',
    query: pageQuery(RoleName),
    reply: RoleList,
    async handle({ query, caller }) {
      const { roles, next } = await list(caller, query.cursor, query.limit);
      return { roles: roles.map(toRole), next_cursor: next ?? null };
    },
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/admin/roles',
    operationId: 'createRole',
    summary: 'Define a role',
    description: 'Who has the role `admin` may name any scope; others those that their own roles give.',
    body: CreateRoleRequest,
    reply: Role,
    status: 201,
    refusals: [RoleExists],
    handle: async ({ body, caller, client }) => toRole(await create(caller, body, client)),
  }),
  endpoint({
    ...common,
    method: 'patch',
    path: '/admin/roles/:name',
    operationId: 'updateRole',
    summary: 'Change what a role gives',
    description: 'Shows in tokens at the next refresh. A scope that comes or goes must be one that you may name.',
    params,
    body: UpdateRoleRequest,
    reply: Role,
    refusals: [RoleFixed],
    handle: async ({ params: { name }, body, caller, client }) => toRole(await change(caller, name, body, client)),
  }),
  endpoint({
    ...common,
    method: 'delete',
    path: '/admin/roles/:name',
    operationId: 'deleteRole',
    summary: 'Delete a role that nobody has',
    params,
    refusals: [RoleFixed],
    handle: ({ params: { name }, caller, client }) => remove(caller, name, client),
  }),
];
