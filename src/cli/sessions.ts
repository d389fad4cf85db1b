import { loadDirectUrl } from '../config/environment.ts';
import { makeAudit } from '../core/audit/audit.ts';
import { revokeSessionBatch } from '../core/sessions/sessions.sql.ts';
import { systemClock } from '../lib/clock.ts';
import type { SessionId } from '../lib/ids.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { type Command, parseOptions, refuseMore, unknownCommand, UsageError } from './command.ts';
import { environmentOf } from './environment.ts';

const usage = `Usage: npm run cli -- sessions <command>

  revoke --all    log out every user: no refresh token is valid afterwards

Requires DATABASE_DIRECT_URL or DATABASE_URL. Use it after restoring a backup, which makes spent and revoked refresh tokens valid
again, before you start the service. Access tokens stay valid until they expire; API keys are not revoked. docs/operating.md
describes what else a backup brings back.
`;

/** Bounds how long a refresh waits for the locks of one statement. */
const sessionsPerBatch = 1000;

/** Revokes the sessions of all users. */
export const sessions: Command = {
  usage,
  async run([command, ...args], terminal) {
    if (command !== 'revoke') throw unknownCommand(command);
    const { values, words } = parseOptions(args, { all: { type: 'boolean' } });
    refuseMore(words);
    if (!values.all) throw new UsageError('--all is missing.');
    const env = await environmentOf(terminal, loadDirectUrl);
    const count = await withDatabase(env, { timeoutSeconds: 60, namedStatements: true }, revokeAll);
    terminal.stdout.write(
      `Revoked ${count} ${count === 1 ? 'session' : 'sessions'}. Every user has to log in again.\n`,
    );
  },
};

/** Revokes in batches. An interrupted run can be repeated. Returns the number of sessions. */
async function revokeAll(db: Database): Promise<number> {
  await makeAudit({ clock: systemClock }).record(db, 'system', { type: 'sessions.revoked', reason: 'cli' });
  let count = 0;
  let after: SessionId | null = null;
  for (;;) {
    const batch = await revokeSessionBatch(db, after, sessionsPerBatch);
    if (!batch?.lastId) return count;
    count += batch.revoked;
    after = batch.lastId;
  }
}
