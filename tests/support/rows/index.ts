// Direct access to the database of a test, for reads and writes that no endpoint offers. All SQL of tests belongs here.
//
//   await app.db.users.disable(account);                   // an id, or any response that contains the id
//   await app.db.sessions.expire(account);
//   await app.db.sessions.age(3600, account);              // as if an hour had passed
//   await app.db.roles.grant(account, 'admin');
//   expect(await app.db.audit.types({ user_id: id, type: 'password.' })).toEqual(['password.changed']);
//   expect(await app.db.count('sessions', { user_id: id, revoked_at: null })).toBe(1);
//
// `startApp()` and `startWorkers()` provide `db`. For another connection, such as one inside a transaction:
// `const db = openRows(client)`.
import type pg from 'pg';
import { auditRows } from './audit.ts';
import { emailRows, oneTimeTokenRows } from './emails.ts';
import { lockoutRows } from './lockouts.ts';
import { serverRows } from './server.ts';
import { sessionRows } from './sessions.ts';
import { signingKeyRows } from './signing-keys.ts';
import { type Connection, makeSql, type Match, quoted, where } from './sql.ts';
import { apiKeyRows, roleRows, userRows } from './users.ts';

export function openRows(connection: Connection) {
  const sql = makeSql(connection);
  return {
    users: userRows(sql),
    roles: roleRows(sql),
    apiKeys: apiKeyRows(sql),
    sessions: sessionRows(sql),
    audit: auditRows(sql),
    signingKeys: signingKeyRows(sql),
    emails: emailRows(sql),
    oneTimeTokens: oneTimeTokenRows(sql),
    lockouts: lockoutRows(sql),
    server: serverRows(sql),
    /** Number of rows of a table whose columns have these values; an array means "any of these". */
    count: async (table: string, match: Match = {}): Promise<number> => {
      const { text, values } = where(match);
      return (await sql.one<{ n: number }>(`SELECT count(*)::int AS n FROM ${quoted(table)} ${text}`, values)).n;
    },
    /** Rows of a table whose columns have these values, ordered by the first column. */
    select: <Row extends pg.QueryResultRow = pg.QueryResultRow>(table: string, match: Match = {}): Promise<Row[]> => {
      const { text, values } = where(match);
      return sql.rows<Row>(`SELECT * FROM ${quoted(table)} ${text} ORDER BY 1`, values);
    },
  };
}

export type Rows = ReturnType<typeof openRows>;
