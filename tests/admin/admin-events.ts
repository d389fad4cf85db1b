import type { TestApp } from '../harness.ts';
import type { UserRef } from '../support/rows/refs.ts';

/** Administrative events that concern an account, oldest first. */
export async function adminEventsOf({ db }: TestApp, { user: { id } }: Exclude<UserRef, string>) {
  const events = await db.audit.events({ user_id: id });
  return events
    .filter(({ type }) => /^(user|role)\./.test(type))
    .map(({ type, actor_id, role }) => ({ type, actor_id, role }));
}
