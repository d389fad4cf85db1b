// The service's own rotation statement, captured from its code, so that the floor always runs the same one.
import { hashToken, newSalt, next, type Ratchet } from '../../src/core/sessions/refresh-token.ts';
import { rotateOne } from '../../src/core/sessions/rotate-session.sql.ts';
import { newId, type SessionId } from '../../src/lib/ids.ts';
import type { Network } from '../../src/lib/network.ts';
import type { Database } from '../../src/platform/postgres.ts';
import type { RotationTimes } from '../../src/core/sessions/rotate-session.sql.ts';
import type { SqlFragment } from '../../src/platform/sql.ts';

/** A parameter that depends on the request, or one that is the same for every request. */
export type Parameter =
  { part: 'sessionId' | 'generation' | 'tokenHash' | 'nextHash' | 'salt' | 'network' } | { constant: string | number };

export interface RotationStatement {
  text: string;
  parameters: Parameter[];
}

/** Rotates a session on a database that only records, and recognizes the parameters by their values. */
export async function captureRotation(ratchet: Ratchet, times: RotationTimes): Promise<RotationStatement> {
  const statements: SqlFragment[] = [];
  const recorder = {
    $queryRaw(statement: SqlFragment) {
      statements.push(statement);
      return Promise.resolve([]);
    },
  };
  const from = { ...ratchet.start(newId<SessionId>(0)), generation: 1_234_567_891 };
  const salt = newSalt();
  const to = next(from, salt);
  const network = 'the network' as Network;
  const rotation = {
    sessionId: from.sessionId,
    generation: from.generation,
    hash: hashToken(from),
    nextHash: hashToken(to),
    salt,
    network,
  };
  await rotateOne(recorder as unknown as Database, rotation, times);
  const [statement, ...others] = statements;
  if (!statement || others.length > 0)
    throw new Error(`a rotation runs ${statements.length} statements instead of one`);
  const parts = new Map<unknown, Parameter>([
    [from.sessionId, { part: 'sessionId' }],
    [from.generation, { part: 'generation' }],
    [hex(hashToken(from)), { part: 'tokenHash' }],
    [hex(hashToken(to)), { part: 'nextHash' }],
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
  throw new Error('the rotation has a parameter of an unknown type');
}
