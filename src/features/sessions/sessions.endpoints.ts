import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { nextCursor, pageQuery, uuidOf } from '../../http/schemas/paging.ts';
import type { SessionId } from '../../lib/ids.ts';
import { type ListSessionsDeps, makeListSessions } from './list-sessions.ts';
import { makeRevokeSession, type RevokeSessionDeps } from './revoke-session.ts';
import type { SessionDetails } from './sessions.sql.ts';

const Session = z
  .object({
    id: z.uuid().meta({ description: 'The `sid` claim of its access tokens' }),
    created_at: z.iso.datetime().meta({ description: 'When the user logged in' }),
    last_used_at: z.iso.datetime().meta({ description: 'When the session was last refreshed' }),
    expires_at: z.iso.datetime().meta({ description: 'When the session expires if it is not refreshed before' }),
    ip: z.string().meta({ description: 'The client address of the login' }),
    user_agent: z.string().nullable().meta({ description: 'The `User-Agent` of the login' }),
    amr: z.array(z.string()).meta({ description: 'How the user was authenticated (RFC 8176)' }),
    current: z.boolean().meta({ description: 'Whether the access token of this request belongs to the session' }),
  })
  .meta({ id: 'Session', description: 'One login on one device' });

const sessionListMembers = {
  sessions: z.array(Session).meta({ description: 'Newest first' }),
  next_cursor: nextCursor.meta({ format: 'uuid' }),
};

const SessionList = z.object(sessionListMembers).meta({
  id: 'SessionList',
  description: 'A page of active sessions',
  examples: [
    {
      sessions: [
        {
          id: '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11',
          created_at: '2026-11-22T09:00:00.000Z',
          last_used_at: '2026-11-22T10:15:00.000Z',
          expires_at: '2026-12-22T09:00:00.000Z',
          ip: '203.0.113.7',
          user_agent: 'Mozilla/5.0',
          amr: ['pwd'],
          current: true,
        },
      ],
      next_cursor: null,
    },
  ],
});

const toSession = (row: SessionDetails, currentId: SessionId | undefined) => ({
  id: row.id,
  created_at: row.createdAt.toISOString(),
  last_used_at: row.lastUsedAt.toISOString(),
  expires_at: row.expiresAt.toISOString(),
  ip: row.ip,
  user_agent: row.userAgent,
  amr: row.amr,
  current: row.id === currentId,
});

const common = { tag: 'Sessions', scopes: ['sessions'] } as const;

export function sessionEndpoints(deps: ListSessionsDeps & RevokeSessionDeps): Endpoint[] {
  const listSessions = makeListSessions(deps);
  const revokeSession = makeRevokeSession(deps);
  return [
    endpoint({
      ...common,
      method: 'get',
      path: '/sessions',
      operationId: 'listSessions',
      summary: 'List your active sessions, newest first',
      query: pageQuery(uuidOf<SessionId>()),
      response: SessionList,
      async handle({ query, principal }) {
        const { rows, next } = await listSessions(principal, query.cursor, query.limit);
        return { sessions: rows.map((row) => toSession(row, principal.sessionId)), next_cursor: next?.id ?? null };
      },
    }),
    endpoint({
      ...common,
      method: 'delete',
      path: '/sessions/:id',
      operationId: 'endSession',
      summary: 'Revoke a session',
      description:
        'With the scope `users:write`, you can also revoke sessions of other users, unless they hold administrative scopes or the ' +
        'role `admin` and you do not.',
      params: z.object({ id: uuidOf<SessionId>().meta({ description: 'The `id` of the session' }) }),
      handle: ({ params, principal, request }) => revokeSession(principal, params.id, request),
    }),
  ];
}
