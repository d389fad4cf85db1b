// Who gives which roles to whom, and what stays whatever is tried.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { password, type Account } from '../harness.ts';
import { type Admin, type AdminWorld, startAdminWorld } from './world.ts';

jest.setTimeout(60_000);

let world: AdminWorld;
beforeAll(async () => void (world = await startAdminWorld()));
afterAll(() => world.close());

const patch = ({ user: { id } }: Pick<Account, 'user'>, body: object, { token }: Pick<Admin, 'token'>) =>
  world.app.call('patch', `/admin/users/${id}`, { body, token });
const remove = ({ user: { id } }: Pick<Account, 'user'>, { token }: Pick<Admin, 'token'>) =>
  world.app.call('delete', `/admin/users/${id}`, { token });
const eraseMe = ({ access_token: token }: Account) =>
  world.app.post('/me/delete', { current_password: password }, token);
const adminsLeft = async () => {
  const { rows } = await world.app.sql.query(
    `SELECT count(*)::int AS n FROM users AS u JOIN user_roles AS r ON r.user_id = u.id WHERE role = 'admin' AND is_active`,
  );
  return rows[0].n as number;
};

describe('a change of roles', () => {
  test('shows at once in /me, and in tokens at the next refresh and login', async () => {
    const admin = await world.admin();
    await world.defineRole('editor', ['articles:write']);
    const ada = await world.app.register();
    const changed = await patch(ada, { roles: ['user', 'editor', 'editor'] }, admin);
    expect(changed.body).toMatchObject({ roles: ['editor', 'user'] });
    expect((await world.app.get('/me', ada.access_token)).body.scopes).toContain('articles:write');
    const refreshed = (await world.app.refresh(ada.refresh_token)).body as Account;
    expect(decodeJwt(refreshed.access_token)).toMatchObject({
      roles: ['editor', 'user'],
      scope: 'articles:write profile sessions',
    });
    await patch(ada, { roles: ['user'] }, admin);
    for (const { body } of [await world.app.refresh(refreshed.refresh_token), await world.app.login(ada.email)])
      expect(decodeJwt(body.access_token)).toMatchObject({ roles: ['user'], scope: 'profile sessions' });
    expect(await world.eventsOf(ada)).toEqual([
      { type: 'role.granted', actor_id: admin.user.id, role: 'editor' },
      { type: 'role.revoked', actor_id: admin.user.id, role: 'editor' },
    ]);
  });

  test('needs roles:write in the token, besides users:write', async () => {
    const admin = await world.admin();
    const ada = await world.app.register();
    const token = await world.tokenOf(admin, 'users:read users:write');
    const refused = await patch(ada, { roles: ['user', 'admin'], display_name: 'Eve' }, { token });
    expect(refused.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect(refused.headers['www-authenticate']).toContain('scope="roles:write"');
    expect(await world.rolesOf(ada)).toEqual(['user']);
    expect((await world.app.get('/me', ada.access_token)).body.display_name).toBe('Ada Lovelace');
  });

  test('an administrator who was demoted gives the role back to nobody', async () => {
    const [admin, former] = [await world.admin(), await world.admin()];
    expect((await patch(former, { roles: ['user'] }, admin)).status).toBe(200);
    expect((await patch(former, { roles: ['user', 'admin'] }, former)).status).toBe(403);
    expect((await world.app.refresh(former.refresh_token)).body.scope).not.toContain('users');
    expect(await world.rolesOf(former)).toEqual(['user']);
  });
});

describe('nobody gives or takes more than they have:', () => {
  let boss: Admin;
  let clerk: Admin;
  beforeAll(async () => {
    await world.defineRole('clerk', ['roles:write', 'users:read', 'users:write']);
    await world.defineRole('publisher', ['articles:publish']);
    boss = await world.admin();
    clerk = await world.admin(['clerk'], 'roles:write users:read users:write');
  });

  test('who may grant roles makes neither themselves nor a friend an administrator', async () => {
    const friend = await world.app.register();
    for (const account of [clerk, friend])
      for (const roles of [['user', 'clerk', 'admin'], ['admin'], ['user', 'clerk', 'publisher']])
        expect((await patch(account, { roles }, clerk)).body).toMatchObject({
          status: 403,
          code: 'insufficient_scope',
        });
    expect(await world.rolesOf(clerk)).toEqual(['clerk', 'user']);
    expect(await world.rolesOf(friend)).toEqual(['user']);
    expect((await patch(friend, { roles: ['user', 'clerk'] }, clerk)).status).toBe(200);
  });

  test('nor by way of a role of their own making', async () => {
    const create = (name: string, scopes: string[]) => world.app.post('/admin/roles', { name, scopes }, clerk.token);
    for (const scopes of [['keys:write'], ['users:read', 'audit:read'], ['articles:publish'], ['invented']])
      expect((await create('crown', scopes)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await create('reader', ['users:read'])).status).toBe(201);
    const widen = (name: string, scopes: string[]) =>
      world.app.call('patch', `/admin/roles/${name}`, { body: { scopes }, token: clerk.token });
    expect((await widen('reader', ['users:read', 'keys:write'])).status).toBe(403);
    expect((await widen('clerk', ['roles:write', 'users:read', 'users:write', 'keys:write'])).status).toBe(403);
    expect((await widen('reader', ['users:read', 'users:write'])).status).toBe(200);
  });

  test('nor takes from anybody what is not theirs to give', async () => {
    const publisher = await world.admin(['publisher'], 'profile');
    expect((await patch(publisher, { roles: ['user'] }, clerk)).status).toBe(403);
    const { token } = clerk;
    const narrowed = await world.app.call('patch', '/admin/roles/publisher', { body: { scopes: [] }, token });
    expect([narrowed.status, (await world.app.call('delete', '/admin/roles/publisher', { token })).status]).toEqual([
      403, 403,
    ]);
  });

  test('nor touches the account of who may do more', async () => {
    for (const body of [{ is_active: false }, { display_name: 'Fool' }, { email_verified: false }, { roles: [] }])
      expect((await patch(boss, body, clerk)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await remove(boss, clerk)).status).toBe(403);
    for (const what of ['logout', 'unlock', 'reset-password'])
      expect((await world.app.post(`/admin/users/${boss.user.id}/${what}`, undefined, clerk.token)).status).toBe(403);
    expect((await world.app.get('/me', boss.access_token)).body.display_name).toBe('Grace Hopper');
    const publisher = await world.admin(['publisher'], 'profile');
    expect((await patch(publisher, { is_active: false }, clerk)).status).toBe(200);
    expect((await patch(clerk, { display_name: 'Clerk' }, clerk)).status).toBe(200);
  });

  test('nor ends what is theirs one by one: a session, an API key', async () => {
    const token = await world.tokenOf(clerk, 'sessions api-keys users:write');
    const strong = await world.tokenOf(boss, 'profile api-keys');
    const { body: key } = await world.app.post('/api-keys', { name: 'Report', scopes: ['profile'] }, strong);
    for (const path of [`/sessions/${boss.session_id}`, `/api-keys/${key.id}`])
      expect((await world.app.call('delete', path, { token })).body).toMatchObject({ code: 'insufficient_scope' });
    expect((await world.app.get('/me', boss.access_token)).status).toBe(200);
    expect((await world.app.get('/api-keys', strong)).body.api_keys).toMatchObject([{ id: key.id }]);
    const publisher = await world.admin(['publisher'], 'profile');
    expect((await world.app.call('delete', `/sessions/${publisher.session_id}`, { token })).status).toBe(204);
  });

  test('while an administrator disposes of every role, a deployment’s too', async () => {
    const ada = await world.app.register();
    const roles = ['clerk', 'publisher', 'user'];
    expect((await patch(ada, { roles }, boss)).body).toMatchObject({ roles });
  });
});

describe('the last active administrator', () => {
  let [first, second]: Admin[] = [];
  const pair = () => {
    if (!first || !second) throw new Error('no administrators');
    return [first, second] as const;
  };
  beforeEach(async () => {
    await world.noAdmins();
    [first, second] = [await world.admin(), await world.admin()];
  });

  const losses: [what: string, lose: (of: Admin, by: Admin) => Promise<{ status: number; body: object }>][] = [
    ['loses the role', (of, by) => patch(of, { roles: ['user'] }, by)],
    ['is disabled', (of, by) => patch(of, { is_active: false }, by)],
    ['is deleted', remove],
    ['deletes the account', eraseMe],
  ];

  test.each(losses)('never %s, though one of two may', async (_what, lose) => {
    const [one, other] = pair();
    expect((await lose(other, one)).status).toBeLessThan(300);
    for (const [, loseNow] of losses)
      expect(await loseNow(one, one)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await adminsLeft()).toBe(1);
    expect((await world.app.get('/admin/users', one.token)).status).toBe(200);
  });

  test('is the last though others have the role who are disabled', async () => {
    const [one, other] = pair();
    await patch(other, { is_active: false }, one);
    expect((await patch(one, { roles: ['user'] }, one)).status).toBe(409);
    await patch(other, { is_active: true }, one);
    expect((await patch(one, { roles: ['user'] }, one)).status).toBe(200);
  });

  test.each(losses)('stays where two race, so that each %s: one wins', async (_what, lose) => {
    for (let round = 0; round < 5; round += 1) {
      await world.noAdmins();
      const [one, other] = [await world.admin(), await world.admin()];
      const statuses = (await Promise.all([lose(one, other), lose(other, one)])).map(({ status }) => status);
      expect(statuses.filter((status) => status < 300)).toHaveLength(1);
      // Who lost acts no more: dead, no administrator, gone, or the last.
      expect(statuses.filter((status) => status >= 300 && ![401, 403, 404, 409].includes(status))).toEqual([]);
      expect(await adminsLeft()).toBe(1);
    }
  });

  test('stays where fifty acts of every kind race, and nobody waits for a deadlock', async () => {
    const admins = [...pair(), ...(await Promise.all(Array.from({ length: 4 }, () => world.admin())))];
    const acts = Array.from({ length: 50 }, (_, index) => {
      const lose = losses[index % losses.length]?.[1];
      const [of, by] = [admins[index % admins.length], admins[(index * 5 + 1) % admins.length]];
      if (!lose || !of || !by) throw new Error('nobody to act');
      return lose(of, by);
    });
    const startedMs = performance.now();
    const answers = await Promise.all(acts);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect(answers.filter(({ status }) => ![200, 204, 401, 403, 404, 409].includes(status))).toEqual([]);
    expect(await adminsLeft()).toBeGreaterThanOrEqual(1);
  });

  test('stays where fifty demotions race among two, and no answer is a failure of the service', async () => {
    const [one, other] = pair();
    const acts = Array.from({ length: 50 }, (_, index) =>
      index % 2 ? patch(one, { roles: ['user'] }, other) : patch(other, { roles: ['user'] }, one),
    );
    const statuses = (await Promise.all(acts)).map(({ status }) => status);
    expect(statuses.filter((status) => ![200, 403, 409].includes(status))).toEqual([]);
    expect(await adminsLeft()).toBe(1);
  });
});
