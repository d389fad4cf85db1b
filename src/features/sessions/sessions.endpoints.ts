import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { pageQuery } from '../../http/schemas/paging.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { SessionRow } from './sessions.store.ts';
import type { EndMySession, ListMySessions } from './sessions.ts';

const SessionIdText = z.uuid().transform((text) => text.toLowerCase() as SessionId);

const Session = z
  .object({
    id: z.uuid().meta({ description: 'The `sid` claim of its access tokens' }),
    created_at: z.iso.datetime().meta({ description: 'When its user logged in' }),
    last_used_at: z.iso.datetime().meta({ description: 'When it was last refreshed' }),
    expires_at: z.iso.datetime().meta({ description: 'When it ends unless it is refreshed, or for good' }),
    ip: z.string().meta({ description: "The login's address" }),
    user_agent: z.string().nullable().meta({ description: "The login's `User-Agent`" }),
    amr: z.array(z.string()).meta({ description: 'How its user was authenticated (RFC 8176)' }),
    current: z.boolean().meta({ description: 'Whether it is the session of the access token' }),
  })
  .meta({ id: 'Session', description: 'One login, on one device' });

const sessionListMembers = {
  sessions: z.array(Session).meta({ description: 'The newest first' }),
  next_cursor: z
    .string()
    .nullable()
    .meta({ format: 'uuid', description: 'The `cursor` of the next page; null at the end' }),
};

const SessionList = z.object(sessionListMembers).meta({
  id: 'SessionList',
  description: 'A page of live sessions',
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

const toSession = (row: SessionRow, currentId: SessionId | undefined) => ({
  id: row.id,
  created_at: row.createdAt.toISOString(),
  last_used_at: row.lastUsedAt.toISOString(),
  expires_at: row.expiresAt.toISOString(),
  ip: row.ip,
  user_agent: row.userAgent,
  amr: row.amr,
  current: row.id === currentId,
});

export const listMySessionsRoute = (list: ListMySessions) =>
  endpoint({
    method: 'get',
    path: '/sessions',
    operationId: 'listSessions',
    tag: 'Sessions',
    summary: 'List your live sessions, the newest first',
    scopes: ['sessions'],
    query: pageQuery(SessionIdText),
    response: SessionList,
    handle: async ({ query, principal }) => {
      const { sessions, next } = await list(principal, query.cursor, query.limit);
      return { sessions: sessions.map((row) => toSession(row, principal.sessionId)), next_cursor: next ?? null };
    },
  });

export const endMySessionRoute = (end: EndMySession) =>
  endpoint({
    method: 'delete',
    path: '/sessions/:id',
    operationId: 'endSession',
    tag: 'Sessions',
    summary: 'End one of your sessions',
    description: 'With `users:write`, anybody’s whose roles give no more than yours.',
    scopes: ['sessions'],
    params: z.object({ id: SessionIdText.meta({ description: 'As in the list' }) }),
    handle: ({ params, principal, request }) => end(principal, params.id, request),
  });
