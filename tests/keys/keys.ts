// Reads signing keys from tokens, the JWKS and the audit trail.
import { decodeProtectedHeader } from 'jose';
import type { Client } from '../harness.ts';
import type { Rows } from '../support/rows/index.ts';

export interface KeyEvent {
  type: string;
  kid: string | null;
  reason: string | null;
}

/** Events of signing keys that the service itself caused, oldest first, without `signing_key.` in front of the type. */
export async function keyEvents(db: Rows): Promise<KeyEvent[]> {
  const events = await db.audit.events({ type: 'signing_key.', outcome: 'success', actor_id: null });
  return events.map(({ type, kid, reason }) => ({ type: type.slice('signing_key.'.length), kid, reason }));
}

export const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;

/** Key ids of the JWKS. */
export async function publishedBy({ get }: Pick<Client, 'get'>): Promise<string[]> {
  const { keys } = JSON.parse((await get('/.well-known/jwks.json')).text) as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

/** Checks the condition every 20 ms and returns the milliseconds until it is true. */
export async function until(holds: () => Promise<boolean> | boolean, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const ms = performance.now() - startedMs;
    if (await holds()) return ms;
    if (ms > withinMs) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
