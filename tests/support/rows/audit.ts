// Rows of the audit trail.
import { type SessionRef, sessionIdOf } from './refs.ts';
import { type Match, type Sql, where } from './sql.ts';

export interface EventRow {
  id: string;
  occurred_at: Date;
  type: string;
  outcome: string;
  reason: string | null;
  actor_id: string | null;
  user_id: string | null;
  session_id: string | null;
  request_id: string | null;
  kid: string | null;
  api_key_id: string | null;
  role: string | null;
}

/** Column values that the events must have. A type that ends with `.` or `.*` matches every type that starts with it. */
export type EventFilter = Partial<Record<Exclude<keyof EventRow, 'occurred_at' | 'type'>, unknown>> & {
  type?: string | readonly string[];
};

const isPrefix = (type: unknown): type is string => typeof type === 'string' && /\.\*?$/.test(type);

export const auditRows = (sql: Sql) => {
  /** Events that match, oldest first. */
  const events = async (filter: EventFilter = {}): Promise<EventRow[]> => {
    const { type, ...others } = filter;
    const match: Match = isPrefix(type) ? others : { type, ...others };
    const { text, values } = where(match);
    const rows = await sql.rows<EventRow>(`SELECT * FROM audit_events ${text} ORDER BY occurred_at, id`, values);
    return isPrefix(type) ? rows.filter((row) => row.type.startsWith(type.replace('*', ''))) : rows;
  };
  return {
    events,
    /** Types of the events that match, oldest first. */
    types: async (filter: EventFilter = {}): Promise<string[]> => (await events(filter)).map(({ type }) => type),
    /** The events of a session's refreshes, oldest first. */
    refreshesOf: (session: SessionRef) =>
      sql.rows<{ type: string; outcome: string; userId: string; ip: string }>(
        `SELECT e.type, e.outcome, e.user_id AS "userId", p.ip
         FROM audit_events AS e LEFT JOIN audit_personal_data AS p ON p.event_id = e.id
         WHERE e.session_id = $1 AND e.type LIKE 'refresh_token.%' ORDER BY e.occurred_at`,
        [sessionIdOf(session)],
      ),
    /** Personal data of the events that match, oldest first. */
    personalData: async (filter: EventFilter = {}) => {
      const ids = (await events(filter)).map(({ id }) => id);
      return sql.rows<{
        event_id: string;
        user_id: string | null;
        ip: string;
        user_agent: string | null;
        email: string | null;
      }>(
        'SELECT event_id, user_id, ip, user_agent, email FROM audit_personal_data WHERE event_id = ANY($1) ORDER BY event_id',
        [ids],
      );
    },
    /** Prevents changes to the trail until the transaction of the connection ends. */
    lock: () => sql.run('LOCK TABLE audit_events'),
    /** Makes the database reject events of this type until `accept` is called. */
    reject: (type: string) =>
      sql.run(
        `ALTER TABLE audit_events ADD CONSTRAINT test_reject CHECK (type <> '${type.replaceAll("'", '')}') NOT VALID`,
      ),
    accept: () => sql.run('ALTER TABLE audit_events DROP CONSTRAINT test_reject'),
  };
};
