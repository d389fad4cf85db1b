// The service's own statement for a turn, taken from its store, so that the floor cannot drift from it.
import { hashToken, newSalt, type Ratchet, successor } from '../../src/core/sessions/refresh-token.ts';
import { makeRefreshStore, type RefreshTimes } from '../../src/features/refresh/refresh.store.ts';
import { newId, type SessionId } from '../../src/lib/ids.ts';
import type { Network } from '../../src/lib/network.ts';
import { type Database } from '../../src/platform/postgres.ts';
import { sql } from '../../src/platform/sql.ts';

/** What one parameter is: a part of the call, or the same in every call. */
export type Parameter =
  { part: 'sessionId' | 'generation' | 'tokenHash' | 'nextHash' | 'salt' | 'network' } | { constant: string | number };

export interface TurnStatement {
  text: string;
  parameters: Parameter[];
}

/** Turns a session that nobody has, with a database that only listens, and tells the parameters by their values. */
export async function captureTurn(ratchet: Ratchet, times: RefreshTimes): Promise<TurnStatement> {
  const heard: { text: string; values: unknown[] }[] = [];
  const listener = {
    $queryRaw(strings: TemplateStringsArray, ...values: string[]) {
      heard.push(sql(strings, ...values));
      return Promise.resolve([{}]);
    },
  };
  const token = { ...ratchet.start(newId<SessionId>(0)), generation: 1_234_567_891 };
  const salt = newSalt();
  const next = successor(token, salt);
  const network = 'the network' as Network;
  await makeRefreshStore(listener as unknown as Database, times).turn(token, next, salt, network);
  const [statement, ...others] = heard;
  if (!statement || others.length > 0) throw new Error(`a turn is ${heard.length} statements, not one`);
  const parts = new Map<unknown, Parameter>([
    [token.sessionId, { part: 'sessionId' }],
    [token.generation, { part: 'generation' }],
    [hex(hashToken(token)), { part: 'tokenHash' }],
    [hex(hashToken(next)), { part: 'nextHash' }],
    [hex(salt), { part: 'salt' }],
    [network, { part: 'network' }],
  ]);
  return { text: statement.text, parameters: statement.values.map((value) => parameterOf(value, parts)) };
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

function parameterOf(value: unknown, parts: Map<unknown, Parameter>): Parameter {
  const part = parts.get(value instanceof Uint8Array ? hex(value) : value);
  if (part) return part;
  if (typeof value === 'string' || typeof value === 'number') return { constant: value };
  throw new Error('the turn has a parameter that the floor does not know');
}
