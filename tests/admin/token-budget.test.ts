// The length of access tokens: docs/decisions/0022-access-token-budget.md
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import type { Response } from 'supertest';
import { maxGrantsLength } from '../../src/core/authorization/token-budget.ts';
import { createVerifier } from '../../src/verify/index.ts';
import { freshEmail, password, startApp, type Tokens, type TestApp } from '../harness.ts';
import type { Admin } from '../support/builders.ts';
import { freePort } from '../support/free-port.ts';
import { basic, postForm } from '../support/oauth.ts';
import { runCli } from '../support/run-cli.ts';

jest.setTimeout(60_000);

const MASTER_KEYS = randomBytes(32).toString('base64url');

/** `count` scopes of 25 characters. */
const scopesOf = (role: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${role}:${String(index).padStart(24 - role.length, '0')}`);

describe.each(['ES256', 'PS256'])('with JWT_ALG=%s', (JWT_ALG) => {
  let app: TestApp;
  let admin: Admin;
  let verify: (token: string) => Promise<unknown>;
  beforeAll(async () => {
    const port = await freePort();
    const ISSUER = `http://localhost:${port}`;
    app = await startApp({ JWT_ALG, MASTER_KEYS, ISSUER, AUDIENCE: `${ISSUER}, https://api.example.com` }, { port });
    admin = await app.admin();
    ({ verify } = createVerifier({ issuer: ISSUER, audience: ISSUER }));
  });
  afterAll(() => app.close());

  const createRole = (name: string, scopes: string[]) => app.post('/admin/roles', { name, scopes }, admin.token);
  const updateRole = (name: string, body: object) =>
    app.call('patch', `/admin/roles/${name}`, { token: admin.token, body });
  const setRoles = (user: { user: { id: string } }, roles: string[]) =>
    app.call('patch', `/admin/users/${user.user.id}`, { token: admin.token, body: { roles } });
  const expectUsable = async ({ access_token: token }: Pick<Tokens, 'access_token'>) => {
    expect((await app.get('/me', token)).status).toBe(200);
    await expect(verify(token)).resolves.toMatchObject({ scopes: expect.arrayContaining(['profile']) });
  };

  test('the longest grants that are accepted make a token of about 4 KB, which works everywhere', async () => {
    const account = await app.register();
    const sizes = Array.from({ length: 31 }, (_, index) => 60 + index);
    const created: Response[] = [];
    for (const size of sizes) created.push(await createRole(`fits-${size}`, scopesOf('fits', size)));
    const accepted = sizes.filter((_, index) => created[index]?.status === 201).at(-1);
    expect(accepted).toBeGreaterThan(70);
    expect(created.at(-1)?.body).toMatchObject({ status: 400, errors: [{ path: 'scopes' }] });
    expect((await setRoles(account, ['user', `fits-${accepted}`])).status).toBe(200);
    const { body } = await app.login(account.email);
    expect(body.access_token.length).toBeGreaterThan(2500);
    expect(body.access_token.length).toBeLessThanOrEqual(4096);
    await expectUsable(body);
  });

  test('roles that are too long together cannot be granted', async () => {
    const account = await app.register();
    for (const name of ['four-a', 'four-b', 'four-c', 'four-d'])
      expect((await createRole(name, scopesOf(name, 60))).status).toBe(201);
    expect((await setRoles(account, ['user', 'four-a'])).status).toBe(200);
    for (const roles of [
      ['user', 'four-a', 'four-b', 'four-c', 'four-d'],
      ['user', 'four-a', 'four-b'],
    ]) {
      const { body } = await setRoles(account, roles);
      expect(body).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ path: 'roles' }] });
      expect(body.errors[0].message).toContain(`${maxGrantsLength} characters`);
    }
    expect(await app.db.roles.of(account)).toEqual(['four-a', 'user']);
    expect((await setRoles(account, ['user', 'four-b'])).status).toBe(200);
  });

  test('many roles with long names and no scopes are too long as well', async () => {
    const account = await app.register();
    const names = Array.from({ length: 40 }, (_, index) => `n${index}-${'x'.repeat(55)}`);
    for (const name of names) await app.db.roles.define(name, []);
    expect((await setRoles(account, ['user', ...names])).status).toBe(400);
    expect((await setRoles(account, ['user', ...names.slice(20)])).status).toBe(200);
  });

  test('a role cannot get scopes that are too long for one of its holders', async () => {
    const account = await app.register();
    await createRole('grows', scopesOf('grows', 30));
    await createRole('stays', scopesOf('stays', 30));
    await setRoles(account, ['user', 'grows', 'stays']);
    expect((await updateRole('grows', { scopes: scopesOf('grows', 90) })).body).toMatchObject({
      status: 400,
      errors: [{ path: 'scopes' }],
    });
    const refused = await updateRole('grows', { scopes: scopesOf('grows', 60) });
    expect(refused.body).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.body.detail).toContain('stays');
    expect((await updateRole('grows', { description: 'Grows', scopes: scopesOf('grows', 20) })).status).toBe(200);
    expect((await updateRole('grows', { scopes: scopesOf('grows', 35) })).status).toBe(200);
    await setRoles(account, ['user', 'stays']);
    expect((await updateRole('grows', { scopes: scopesOf('grows', 60) })).status).toBe(200);
  });

  describe('an account that has had more since an earlier release', () => {
    const oldAccount = async (name: string, roles: number, scopesPerRole: number) => {
      const account = await app.register();
      for (let index = 0; index < roles; index += 1) {
        const role = `${name}-${index}`;
        await app.db.roles.define(role, scopesOf(role, scopesPerRole));
        await app.db.roles.grant(account, role);
      }
      return account;
    };

    test('keeps a token with every scope while verifiers accept it', async () => {
      const account = await oldAccount('old', 3, 50);
      const { body } = await app.login(account.email);
      expect(decodeJwt(body.access_token)['roles']).toHaveLength(4);
      expect(body.scope.split(' ')).toHaveLength(152);
      await expectUsable(body);
    });

    test('is not locked out, and gets its own scopes and as many others as fit', async () => {
      const account = await oldAccount('huge', 8, 100);
      for (const { body } of [await app.login(account.email), await app.refresh(account.refresh_token)]) {
        expect(body.access_token.length).toBeGreaterThan(6000);
        expect(body.access_token.length).toBeLessThanOrEqual(8192);
        const scopes = String(body.scope).split(' ');
        expect(scopes).toEqual(expect.arrayContaining(['profile', 'sessions', 'huge-0:000000000000000000']));
        expect(decodeJwt(body.access_token)['scope']).toBe(body.scope);
        await expectUsable(body);
      }
      const wanted = ['huge-7:000000000000000099', 'profile'];
      const token = await app.tokenOf(account, wanted.join(' '));
      expect(decodeJwt(token)['scope']).toBe(wanted.join(' '));
    });

    test('can log in although the names of its roles alone are too long', async () => {
      const account = await app.register();
      for (let index = 0; index < 100; index += 1) {
        const role = `r${index}-${'y'.repeat(58)}`;
        await app.db.roles.define(role, [`scope:${index}`]);
        await app.db.roles.grant(account, role);
      }
      const { body } = await app.login(account.email);
      expect(body.scope.split(' ')).toHaveLength(102);
      expect(decodeJwt(body.access_token)['roles']).not.toHaveLength(101);
      await expectUsable(body);
    });

    test('can lose roles, but get no more', async () => {
      const account = await oldAccount('less', 4, 60);
      await app.db.roles.define('little', ['little']);
      const roles = ['user', 'less-0', 'less-1', 'less-2'];
      expect((await setRoles(account, [...roles, 'little'])).status).toBe(400);
      expect((await setRoles(account, roles)).status).toBe(200);
    });

    test('has an API key whose tokens work', async () => {
      const account = await app.register();
      const key = await app.apiKeyOf(account, ['profile']);
      await app.db.roles.define('key-role', scopesOf('key', 400));
      await app.db.roles.grant(account, 'key-role');
      await app.db.apiKeys.setScopes(key, ['profile', ...scopesOf('key', 400)]);
      const form = { grant_type: 'client_credentials' };
      const { body } = await postForm(app, '/token', form, basic(key.client_id, key.client_secret));
      expect(body.access_token.length).toBeLessThanOrEqual(8192);
      expect(decodeJwt(body.access_token)['scope']).toBe(body.scope);
      await expectUsable(body);
    });
  });

  test('an API key has only scopes that a login can request by name, which fit', async () => {
    const account = await app.userWithRole('wide', scopesOf('wide', 70));
    const longest = scopesOf('wide', 38);
    const login = { email: account.email, password, scope: ['api-keys', ...scopesOf('wide', 39)].join(' ') };
    expect((await app.post('/login', login)).status).toBe(400);
    const key = await app.apiKeyOf(account, longest);
    const form = { grant_type: 'client_credentials' };
    const { body } = await postForm(app, '/token', form, basic(key.client_id, key.client_secret));
    expect(body.scope.split(' ')).toEqual(longest);
    expect(body.access_token.length).toBeLessThanOrEqual(4096);
  });

  test('an import refuses accounts whose roles are too long together', async () => {
    for (const name of ['import-a', 'import-b']) await app.db.roles.define(name, scopesOf(name, 60));
    const path = join(tmpdir(), `budget.${process.pid}.${JWT_ALG}.ndjson`);
    const line = (roles: string[]) => JSON.stringify({ email: freshEmail(), display_name: 'Ada', roles });
    await writeFile(path, [line(['user', 'import-a']), line(['user', 'import-a', 'import-b'])].join('\n'));
    const output = await runCli({ DATABASE_URL: app.databaseUrl }, 'users', 'import', path, '--report', '-');
    expect(output.code).toBe(3);
    expect(JSON.parse(output.stdout)).toMatchObject({
      line: 2,
      reasons: [expect.stringMatching(/^roles: The role and scope names/)],
    });
  });

  test('create-admin refuses an account whose tokens would be too long with the role admin', async () => {
    const account = await app.userWithRole('nearly', scopesOf('nearly', 75));
    await app.db.users.markVerified(account);
    const env = { DATABASE_URL: app.databaseUrl, MASTER_KEYS, APP_URL: 'https://app.example.com' };
    const { code, stderr } = await runCli(env, 'users', 'create-admin', account.email);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Remove a role first')]);
    expect(await app.db.roles.of(account)).toEqual(['nearly', 'user']);
  });
});
