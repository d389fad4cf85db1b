// Tests every cell of the access table in docs/authorization.md.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, type Client, password, startApp, type TestApp } from '../harness.ts';
import { operations } from '../http/operations.ts';
import { type Owner, recipes } from './recipes.ts';

jest.setTimeout(60_000);

const [, section = ''] = readFileSync('docs/authorization.md', 'utf8').split('## Access by endpoint');
const [table = ''] = section.split('\n## ');
const lines = table.split('\n').filter((line) => line.startsWith('|'));
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));
const [head = [], , ...rows] = lines.map(cellsOf);
const principals = ['anonymous', 'user', 'other user', 'API key', 'administrator'] as const;

const everyScope =
  'profile sessions api-keys users:read users:write roles:write audit:read keys:write tokens:introspect';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  await newOwner('administrator'); // so that no other administrator is the last one
});
afterAll(() => app.close());

/** A new account logged in with all scopes that it can have, and its API key with the scopes of a user. */
async function newOwner(role: 'user' | 'administrator' = 'user'): Promise<Owner> {
  const account = await app.register();
  if (role === 'administrator') await app.db.roles.grant(account, 'admin');
  const { body } = await app.post('/login', { email: account.email, password, scope: everyScope });
  const key = { name: 'Nightly report', scopes: ['profile', 'sessions', 'api-keys'] };
  const { body: apiKey } = await app.post('/api-keys', key, body.access_token);
  return { ...account, ...(body as Account), apiKey };
}

async function credentialOf(principal: (typeof principals)[number], owner: Owner): Promise<Record<string, string>> {
  const bearer = ({ access_token: token }: Owner) => ({ authorization: `Bearer ${token}` });
  if (principal === 'anonymous') return {};
  if (principal === 'API key') return { 'x-api-key': owner.apiKey.client_secret };
  if (principal === 'user') return bearer(owner);
  return bearer(await newOwner(principal === 'administrator' ? 'administrator' : 'user'));
}

test('the table has a row for every operation and a column for every principal', () => {
  expect(head).toEqual(['call', ...principals]);
  const known = operations.map(({ method, template }) => `${method} ${template}`);
  expect(rows.map(([call = '']) => call).toSorted()).toEqual(known.toSorted());
  expect(operations.map(({ id }) => id).filter((id) => !(id in recipes))).toEqual([]);
});

describe.each(rows.map(([call = '', ...statuses]) => ({ call, statuses })))('$call', ({ call, statuses }) => {
  const operation = operations.find(({ method, template }) => `${method} ${template}` === call);

  test.each(principals.map((principal, index) => ({ principal, status: Number(statuses[index]) })))(
    '$caller: $status',
    async ({ principal, status }) => {
      const { id = '', method = '', path: itself = '' } = operation ?? {};
      const owner = await newOwner();
      const { path = itself, body, headers } = (await recipes[id]?.(owner, app)) ?? {};
      const response = await app.call(method.toLowerCase() as Parameters<Client['call']>[0], path, {
        body,
        headers: { ...headers, ...(await credentialOf(principal, owner)) },
      });
      expect([response.status, response.text.slice(0, 200)]).toEqual([status, expect.any(String)]);
    },
  );
});
