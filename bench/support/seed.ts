// Accounts with one role and one session each, inserted by SQL without hashing passwords.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { formatToken, hashToken, type Ratchet, saltBytes } from '../../src/core/sessions/refresh-token.ts';
import { newId, type SessionId, type UserId } from '../../src/lib/ids.ts';

const batch = 2000;

const insertUsers = `
  INSERT INTO users (id, email, display_name, password_hash)
  SELECT id, id || '@example.com', 'Ada Lovelace', 'none' FROM unnest($1::uuid[]) AS id`;

const insertRoles = `INSERT INTO user_roles (user_id, role) SELECT id, 'user' FROM unnest($1::uuid[]) AS id`;

/** As after a rotation 15 minutes ago, so that the rows have their final size. */
const insertSessions = `
  INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, amr, user_agent, ip,
                        expires_at, token_hash, turned_from, turned_at, turn_salts)
  SELECT id, user_id, now() + interval '30 days', now(), 'first-party', '{pwd}',
         'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', '127.0.0.1',
         now() + interval '30 days', hash, '127.0.0.0/24', ARRAY[now() - interval '15 minutes'], ARRAY[salt]
  FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS given (user_id, id, hash, salt)`;

/** Returns one live token per session in random order, so that consecutive refreshes hit different pages. */
export async function seedSessions(client: pg.Client, ratchet: Ratchet, count: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const created = Array.from({ length: Math.min(batch, count - tokens.length) }, () => ({
      userId: newId<UserId>(Date.now()),
      token: ratchet.start(newId<SessionId>(Date.now())),
    }));
    const users = created.map(({ userId }) => userId);
    await client.query(insertUsers, [users]);
    await client.query(insertRoles, [users]);
    const sessions = created.map(({ token }) => token.sessionId);
    const hashes = created.map(({ token }) => hashToken(token));
    const salts = created.map(() => randomBytes(saltBytes));
    await client.query(insertSessions, [users, sessions, hashes, salts]);
    tokens.push(...created.map(({ token }) => formatToken(token)));
  }
  return shuffled(tokens);
}

function shuffled(tokens: string[]): string[] {
  return tokens
    .map((token) => ({ token, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ token }) => token);
}
