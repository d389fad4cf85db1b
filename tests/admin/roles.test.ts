import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { type Admin } from '../support/builders.ts';

jest.setTimeout(30_000);

let app: TestApp;
let admin: Admin;
beforeAll(async () => {
  app = await startApp();
  admin = await app.admin();
});
afterAll(() => app.close());

const create = (body: object) => app.post('/admin/roles', body, admin.token);
const change = (name: string, body: object) => app.call('patch', `/admin/roles/${name}`, { body, token: admin.token });
const remove = (name: string) => app.call('delete', `/admin/roles/${name}`, { token: admin.token });
const eventsOf = async (role: string) =>
  (await app.db.audit.events({ role })).map(({ type, actor_id, user_id }) => ({ type, actor_id, user_id }));

test('creating, changing and deleting a role is audited with the administrator', async () => {
  const created = await create({ name: 'editor', description: 'Writes', scopes: ['b:write', 'a:write', 'b:write'] });
  expect([created.status, created.body]).toEqual([
    201,
    {
      name: 'editor',
      description: 'Writes',
      scopes: ['a:write', 'b:write'],
      built_in: false,
      created_at: expect.any(String),
    },
  ]);
  expect((await create({ name: 'editor', scopes: [] })).body).toMatchObject({ status: 409, code: 'conflict' });
  expect((await change('editor', { scopes: ['a:write'] })).body).toEqual({ ...created.body, scopes: ['a:write'] });
  expect((await change('editor', { description: '' })).body).toMatchObject({ description: '', scopes: ['a:write'] });
  expect((await remove('editor')).status).toBe(204);
  expect((await remove('editor')).status).toBe(404);
  expect((await change('editor', { scopes: [] })).status).toBe(404);
  expect((await change('editor', {})).body).toMatchObject({ status: 400, errors: [{ path: 'body' }] });
  const by = { actor_id: admin.user.id, user_id: null };
  expect(await eventsOf('editor')).toEqual([
    { type: 'role.created', ...by },
    { type: 'role.changed', ...by },
    { type: 'role.changed', ...by },
    { type: 'role.deleted', ...by },
  ]);
});

test.each(['user', 'admin'])('the built-in role %s cannot be changed or deleted', async (name) => {
  for (const response of [
    await change(name, { scopes: [] }),
    await change(name, { description: 'x' }),
    await remove(name),
  ])
    expect(response.body).toMatchObject({ status: 409, code: 'conflict' });
  expect(await eventsOf(name)).toEqual([]);
});

test('a role with holders cannot be deleted, and its new scopes reach them at the next refresh', async () => {
  await create({ name: 'baker', scopes: ['bread:bake'] });
  const ada = await app.register();
  await app.db.roles.grant(ada, 'baker');
  expect((await remove('baker')).body).toMatchObject({ status: 409, code: 'conflict' });
  await change('baker', { scopes: ['bread:bake', 'bread:sell'] });
  expect((await app.refresh(ada.refresh_token)).body.scope).toBe('bread:bake bread:sell profile sessions');
});

test('a role that is granted and deleted concurrently is either granted or deleted', async () => {
  for (let round = 0; round < 10; round += 1) {
    const name = `fleeting-${round}`;
    await create({ name, scopes: ['x'] });
    const ada = await app.register();
    const roles = ['user', name];
    const [granted, removed] = await Promise.all([
      app.call('patch', `/admin/users/${ada.user.id}`, { body: { roles }, token: admin.token }),
      remove(name),
    ]);
    expect([
      [200, 409],
      [400, 204],
    ]).toContainEqual([granted.status, removed.status]);
  }
});

test('twenty concurrent requests create a role once', async () => {
  const responses = await Promise.all(Array.from({ length: 20 }, () => create({ name: 'raced', scopes: ['x'] })));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 409)).toHaveLength(19);
});

describe('creating a role returns 400 for', () => {
  test.each<[title: string, body: object, path: string]>([
    ['a name in upper case', { name: 'Editor', scopes: [] }, 'name'],
    ['a name that begins with a digit', { name: '1st', scopes: [] }, 'name'],
    ['a name of 64 characters', { name: 'a'.repeat(64), scopes: [] }, 'name'],
    ['no name', { scopes: [] }, 'name'],
    ['no scopes', { name: 'x' }, 'scopes'],
    ['a scope with a space', { name: 'x', scopes: ['a b'] }, 'scopes.0'],
    ['a scope with a quote', { name: 'x', scopes: ['a"b'] }, 'scopes.0'],
    ['an empty scope', { name: 'x', scopes: [''] }, 'scopes.0'],
    ['101 scopes', { name: 'x', scopes: Array.from({ length: 101 }, (_, n) => `s${n}`) }, 'scopes'],
    ['a long description', { name: 'x', scopes: [], description: 'x'.repeat(201) }, 'description'],
    ['a description with NUL', { name: 'x', scopes: [], description: 'a\0b' }, 'description'],
    ['the member built_in', { name: 'x', scopes: [], built_in: true }, 'built_in'],
  ])('%s', async (_title, body, path) => {
    const response = await create(body);
    expect(response.body).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(response.body.errors[0].path).toBe(path);
  });
});

test('roles are listed by name in pages', async () => {
  for (const name of ['page-a', 'page-b', 'page-c']) await create({ name, scopes: [] });
  const names: string[] = [];
  let cursor = '';
  do {
    const { body } = await app.get(`/admin/roles?limit=2${cursor && `&cursor=${cursor}`}`, admin.token);
    names.push(...(body.roles as { name: string }[]).map(({ name }) => name));
    cursor = body.next_cursor ?? '';
  } while (cursor);
  expect(names).toEqual((await app.db.roles.all()).map(({ name }) => name));
  expect((await app.get('/admin/roles?cursor=A', admin.token)).status).toBe(400);
});
