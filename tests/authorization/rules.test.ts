// A table for every rule of src/core/authorization.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { isLastActiveAdmin, requireOwnerOrAdmin } from '../../src/core/authorization/authorize.ts';
import * as rules from '../../src/core/authorization/rules.ts';
import { openInfrastructure } from '../../src/infrastructure.ts';
import { ApiError } from '../../src/lib/errors.ts';
import { type ApiKeyId, parseId, type SessionId, type UserId } from '../../src/lib/ids.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { startApp, type TestApp } from '../harness.ts';
import { adminScopes as everyAdminScope } from '../support/builders.ts';

jest.setTimeout(60_000);

const id = '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10';

/** A logged-in user whose access token has all held scopes. */
const session = (heldScopes: string[], rest: Partial<rules.AuthorizedPrincipal> = {}): rules.AuthorizedPrincipal => ({
  userId: id as UserId,
  sessionId: id as SessionId,
  apiKeyId: undefined,
  scopes: heldScopes,
  authTime: 1000,
  roles: ['user'],
  heldScopes,
  nowMs: 1_000_000,
  ...rest,
});

/** An API key of a user who holds these scopes. */
const apiKey = (scopes: string[], heldScopes: string[], roles = ['user']): rules.AuthorizedPrincipal => ({
  ...session(heldScopes, { scopes, roles }),
  sessionId: undefined,
  apiKeyId: id as ApiKeyId,
  authTime: undefined,
});

const admin = (heldScopes: string[] = []) => session(heldScopes, { roles: ['admin'] });

const adminScopes = everyAdminScope.split(' ');
const administrator = { roles: ['admin', 'user'], heldScopes: adminScopes };
/** A user with these scopes. */
const holding = (...heldScopes: string[]) => ({ roles: ['user'], heldScopes });

/** `allowed`, or the code and the private reason of the error that is thrown. */
async function outcomeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'allowed';
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

/** A missing outcome means `allowed`. */
type Case = [title: string, call: () => unknown, outcome?: string];

const tables: Record<string, Case[]> = {
  requireTokenScopes: [
    ['the token has the scope', () => rules.requireTokenScopes(session(['a', 'b']), ['a'])],
    ['no scope is required', () => rules.requireTokenScopes(session([]), [])],
    [
      'the user holds the scope but the token lacks it',
      () => rules.requireTokenScopes(session(['a'], { scopes: [] }), ['a']),
      'insufficient_scope: a',
    ],
    [
      'the token lacks two of three scopes',
      () => rules.requireTokenScopes(session(['b']), ['a', 'b', 'c']),
      'insufficient_scope: a c',
    ],
  ],
  requireDelegable: [
    ['the token has every scope of the key', () => rules.requireDelegable(session(['a', 'b']), ['a', 'b'])],
    [
      'the user holds a scope that the token lacks',
      () => rules.requireDelegable(session(['a', 'b'], { scopes: ['a'] }), ['a', 'b']),
      'insufficient_scope: wider than the token',
    ],
    [
      'an administrator delegates a scope that the token lacks',
      () => rules.requireDelegable(admin(['a']), ['b']),
      'insufficient_scope: wider than the token',
    ],
  ],
  requireScopes: [
    ['the token and the user have the scope', () => rules.requireScopes(session(['a']), ['a'])],
    ['no scope is required', () => rules.requireScopes(session([]), [])],
    [
      'the token lacks a scope that the user holds',
      () => rules.requireScopes(session(['a'], { scopes: [] }), ['a']),
      'insufficient_scope: a',
    ],
    [
      'the user no longer holds a scope of the token',
      () => rules.requireScopes(session([], { scopes: ['a'] }), ['a']),
      'insufficient_scope: a',
    ],
    ['an administrator lacks the scope', () => rules.requireScopes(admin(['b']), ['a', 'b']), 'insufficient_scope: a'],
  ],
  requireGrantable: [
    ['a user grants held scopes', () => rules.requireGrantable(session(['a', 'b']), ['a', 'b'])],
    ['a user grants nothing', () => rules.requireGrantable(session([]), [])],
    [
      'a user grants a held scope that the token lacks',
      () => rules.requireGrantable(session(['a'], { scopes: [] }), ['a']),
    ],
    [
      'a user grants a scope that is not held',
      () => rules.requireGrantable(session(['a']), ['a', 'b']),
      'insufficient_scope: exceeds own scopes',
    ],
    ['an administrator grants any scope', () => rules.requireGrantable(admin(), ['keys:write', 'articles:write'])],
    ['an API key grants its own scopes', () => rules.requireGrantable(apiKey(['a'], ['a', 'b']), ['a'])],
    [
      'an API key grants a scope that only its owner holds',
      () => rules.requireGrantable(apiKey(['a'], ['a', 'b']), ['b']),
      'insufficient_scope: exceeds own scopes',
    ],
    [
      'an API key of an administrator grants a scope that it lacks',
      () => rules.requireGrantable(apiKey(['a'], ['a', 'b'], ['admin']), ['b']),
      'insufficient_scope: exceeds own scopes',
    ],
  ],
  requireAdminRole: [
    ['the user holds the role admin', () => rules.requireAdminRole(admin())],
    [
      'the user holds every scope of the role admin by another role',
      () => rules.requireAdminRole(session(adminScopes, { roles: ['deputy'] })),
      'insufficient_scope: requires the role admin',
    ],
    [
      'the principal is an API key of an administrator',
      () => rules.requireAdminRole(apiKey(adminScopes, adminScopes, ['admin'])),
      'insufficient_scope: requires the role admin',
    ],
  ],
  requireNotOutranked: [
    [
      'the target holds the same administrative scopes',
      () => rules.requireNotOutranked(session(['users:write']), holding('users:write', 'profile')),
    ],
    ['the target holds no scope', () => rules.requireNotOutranked(session(['users:write']), holding())],
    [
      'the target holds scopes that are not administrative',
      () => rules.requireNotOutranked(session(['users:write']), holding('profile', 'api-keys', 'articles:write')),
    ],
    [
      'the target holds an administrative scope that the principal lacks',
      () => rules.requireNotOutranked(session(['users:write']), holding('users:write', 'keys:write')),
      'insufficient_scope: exceeds own scopes',
    ],
    ['an administrator changes anyone', () => rules.requireNotOutranked(admin(), holding('users:write', 'keys:write'))],
    [
      'an API key of an administrator lacks an administrative scope of the target',
      () =>
        rules.requireNotOutranked(
          apiKey(['users:write'], ['users:write', 'keys:write'], ['admin']),
          holding('keys:write'),
        ),
      'insufficient_scope: exceeds own scopes',
    ],
    [
      'a user with every scope of the role admin changes an administrator',
      () => rules.requireNotOutranked(session(adminScopes, { roles: ['deputy'] }), administrator),
      'insufficient_scope: requires the role admin',
    ],
    [
      'an API key of an administrator with every scope of the role admin changes an administrator',
      () => rules.requireNotOutranked(apiKey(adminScopes, adminScopes, ['admin']), administrator),
      'insufficient_scope: requires the role admin',
    ],
    ['an administrator changes an administrator', () => rules.requireNotOutranked(admin(adminScopes), administrator)],
    [
      'an API key with every scope of the role admin changes a user who holds them by another role',
      () =>
        rules.requireNotOutranked(apiKey(adminScopes, adminScopes, ['admin']), {
          roles: ['deputy'],
          heldScopes: adminScopes,
        }),
    ],
  ],
  requireRecentLogin: [
    ['the user has just logged in', () => rules.requireRecentLogin(session([]), 600)],
    [
      'the login is one second younger than the limit',
      () => rules.requireRecentLogin(session([], { nowMs: 1_599_999 }), 600),
    ],
    [
      'the login is as old as the limit',
      () => rules.requireRecentLogin(session([], { nowMs: 1_600_000 }), 600),
      'insufficient_user_authentication: login too old',
    ],
    [
      'the principal is an API key',
      () => rules.requireRecentLogin(apiKey([], []), 600),
      'insufficient_user_authentication: api key',
    ],
  ],
  requireLive: [
    ['a row was found', () => expect(rules.requireLive({ roles: [] })).toEqual({ roles: [] })],
    ['the row is empty text', () => expect(rules.requireLive('')).toBe('')],
    ['no row was found', () => rules.requireLive(undefined), 'invalid_access_token: session ended'],
  ],
};

test('every rule has a table', () => {
  const functions = Object.entries(rules).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  expect(Object.keys(tables).toSorted()).toEqual(functions.toSorted());
});

describe.each(Object.entries(tables))('%s', (_name, cases) => {
  test.each(cases.map(([title, call, outcome = 'allowed']) => ({ title, call, outcome })))(
    '$title: $outcome',
    async ({ call, outcome }) => expect(await outcomeOf(call)).toBe(outcome),
  );
});

describe('over a database', () => {
  let app: TestApp;
  let infrastructure: ReturnType<typeof openInfrastructure>;
  beforeAll(async () => {
    app = await startApp();
    infrastructure = openInfrastructure(app.config, makeLogger({ level: 'silent', pretty: false }));
  });
  afterAll(async () => {
    await infrastructure.close();
    await app.close();
  });

  const userWith = async (...roles: string[]): Promise<UserId> => {
    const { user } = await app.register();
    for (const role of roles) await app.db.roles.grant(user.id, role);
    const userId = parseId<UserId>(user.id);
    if (!userId) throw new Error('the id of a user is a UUID');
    return userId;
  };

  describe('requireOwnerOrAdmin', () => {
    const adminScope = 'users:write';
    const owners = {
      self: () => id as UserId,
      'another user': () => userWith(),
      'an administrator': () => userWith('admin'),
      'a deleted user': () => '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11' as UserId,
      'no user': () => undefined,
    };
    const principals = {
      'a user': session([]),
      'an administrator': session([adminScope], { roles: ['admin'] }),
      'a user manager': session([adminScope]),
      'a former user manager': session([], { scopes: [adminScope] }),
      'a user manager without the scope in the token': session([adminScope], { scopes: [] }),
      'an API key of a user manager': apiKey([adminScope], [adminScope]),
      'an API key without the scope': apiKey(['sessions'], [adminScope, 'sessions']),
      'a user with every scope of the role admin': session(adminScopes, { roles: ['deputy'] }),
      'an API key with every scope of the role admin': apiKey(adminScopes, adminScopes, ['admin']),
    };
    const notFound = 'not_found: session';
    const outranked = 'insufficient_scope: exceeds own scopes';
    const requiresAdmin = 'insufficient_scope: requires the role admin';

    test.each<[principal: keyof typeof principals, owner: keyof typeof owners, outcome: string]>([
      ['a user', 'self', 'allowed'],
      ['a user', 'another user', notFound],
      ['a user', 'an administrator', notFound],
      ['a user', 'no user', notFound],
      ['an administrator', 'self', 'allowed'],
      ['an administrator', 'another user', 'allowed'],
      ['an administrator', 'an administrator', 'allowed'],
      ['an administrator', 'a deleted user', notFound],
      ['an administrator', 'no user', notFound],
      ['a user manager', 'self', 'allowed'],
      ['a user manager', 'another user', 'allowed'],
      ['a user manager', 'an administrator', outranked],
      ['a user manager', 'no user', notFound],
      ['a former user manager', 'self', 'allowed'],
      ['a former user manager', 'another user', notFound],
      ['a user manager without the scope in the token', 'another user', notFound],
      ['an API key of a user manager', 'another user', 'allowed'],
      ['an API key of a user manager', 'an administrator', outranked],
      ['a user with every scope of the role admin', 'another user', 'allowed'],
      ['a user with every scope of the role admin', 'an administrator', requiresAdmin],
      ['an API key with every scope of the role admin', 'another user', 'allowed'],
      ['an API key with every scope of the role admin', 'an administrator', requiresAdmin],
      ['an API key without the scope', 'self', 'allowed'],
      ['an API key without the scope', 'another user', notFound],
    ])('%s, resource of %s: %s', async (principal, owner, outcome) => {
      const resource = { kind: 'session', ownerId: await owners[owner]() };
      const call = () =>
        infrastructure.db.transaction((tx) => requireOwnerOrAdmin(tx, principals[principal], resource, adminScope));
      expect(await outcomeOf(call)).toBe(outcome);
    });
  });

  describe('isLastActiveAdmin', () => {
    interface Candidate {
      isAdmin: boolean;
      isActive: boolean;
    }
    const active = { isAdmin: true, isActive: true };
    const disabled = { isAdmin: true, isActive: false };
    const user = { isAdmin: false, isActive: true };

    test.each<[title: string, candidate: Candidate, others: Candidate[], isLast: boolean]>([
      ['the only active administrator', active, [], true],
      ['an active administrator beside ordinary users', active, [user, user], true],
      ['an active administrator beside a disabled administrator', active, [disabled], true],
      ['one of two active administrators', active, [active], false],
      ['a disabled administrator beside an active one', disabled, [active], false],
      ['the only administrator, disabled', disabled, [], false],
      ['a user without the role', user, [active], false],
      ['a user without the role if no administrator exists', user, [], false],
    ])('%s', async (_title, candidate, others, isLast) => {
      await app.db.roles.removeFromAll('admin');
      const create = async ({ isAdmin, isActive }: Candidate) => {
        const userId = await userWith(...(isAdmin ? ['admin'] : []));
        if (!isActive) await app.db.users.disable(userId);
        return userId;
      };
      const userId = await create(candidate);
      for (const other of others) await create(other);
      expect(await infrastructure.db.transaction((tx) => isLastActiveAdmin(tx, userId))).toBe(isLast);
    });

    test('holds concurrent changes of grants back until the transaction ends', async () => {
      await app.db.roles.removeFromAll('admin');
      const [first, second] = [await userWith('admin'), await userWith('admin')];
      const demote = (userId: UserId) =>
        infrastructure.db.transaction(async (tx) => {
          if (await isLastActiveAdmin(tx, userId)) return false;
          await tx.userRole.deleteMany({ where: { userId, role: 'admin' } });
          return true;
        });
      const demoted = await Promise.all([demote(first), demote(second)]);
      expect(demoted.filter(Boolean)).toHaveLength(1);
    });
  });
});
