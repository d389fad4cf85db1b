// The harness under the names that the tests of /admin use. New tests call the builders of `app` instead.
import { type Settings, startApp, type StartOptions, type TestApp } from '../harness.ts';
import { type Admin, adminScopes } from '../support/builders.ts';
import type { UserRef } from '../support/rows/refs.ts';

export { type Admin, adminScopes };

export async function startAdminWorld(settings: Settings = {}, options: StartOptions = {}) {
  const app: TestApp = await startApp(settings, options);
  const { db, tokenOf } = app;
  return {
    app,
    tokenOf,
    /** A new account with these roles besides `user`, logged in with `scope`. */
    admin: (roles: string[] = ['admin'], scope = adminScopes): Promise<Admin> => app.admin({ roles, scope }),
    defineRole: db.roles.define,
    grant: db.roles.grant,
    withdraw: db.roles.take,
    rolesOf: db.roles.of,
    /** Events of the account and its roles, oldest first. */
    async eventsOf({ user: { id } }: Exclude<UserRef, string>) {
      const events = await db.audit.events({ user_id: id });
      return events
        .filter(({ type }) => /^(user|role)\./.test(type))
        .map(({ type, actor_id, role }) => ({ type, actor_id, role }));
    },
    noAdmins: () => db.roles.takeFromAll('admin'),
    close: () => app.close(),
  };
}

export type AdminWorld = Awaited<ReturnType<typeof startAdminWorld>>;
