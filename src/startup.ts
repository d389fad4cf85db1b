// What the service waits for when it starts, and the errors that waiting cannot fix.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Keyring } from './core/signing-keys/keyring.ts';
import type { CheckSchema } from './features/health/readiness.ts';
import { StartupError } from './lib/errors.ts';
import type { Logger } from './platform/log.ts';
import { type Database, DatabaseUnavailable, queryText, sentenceOf } from './platform/postgres.ts';
import { permissionErrorOf } from './platform/postgres/connection-errors.ts';
import { findUnmetRequirement } from './platform/postgres/requirements.ts';

export interface Startup {
  db: Database;
  /** Connects once. @throws StartupError if waiting cannot help */
  connect: () => Promise<void>;
  schema: string;
  keyring: Keyring;
  checkSchema: CheckSchema;
  log: Logger;
  signal: AbortSignal;
}

const retryMs = 1000;

/** Waits for the database and its migrations and loads the signing keys. Retries until `signal` aborts. */
export async function becomeReady(startup: Startup, firstAttempt: Promise<Obstacle | undefined>): Promise<void> {
  const { log, signal } = startup;
  let lastLogged = '';
  for (let attempt = firstAttempt; ; attempt = tryToBecomeReady(startup)) {
    const obstacle = await attempt;
    if (obstacle === undefined) return;
    if (obstacle.key !== lastLogged) log.warn({ reason: obstacle.reason }, 'not ready; retrying every second');
    lastLogged = obstacle.key;
    await sleep(retryMs, undefined, { signal, ref: false });
  }
}

export interface Obstacle {
  /** Obstacles with the same key are logged once. */
  key: string;
  reason: string;
}

/** Returns why the service is not ready yet; undefined if it is ready. @throws on failures that a retry cannot fix */
export async function tryToBecomeReady({
  db,
  connect,
  schema,
  keyring,
  checkSchema,
}: Startup): Promise<Obstacle | undefined> {
  try {
    await connect();
    const unmet = await findUnmetRequirement(queryText(db), schema);
    if (unmet !== undefined) throw new StartupError(unmet);
    const problem = await checkSchema();
    // The list of migrations gets shorter while they are applied.
    if (problem) return { key: problem.state, reason: problem.reason };
    await keyring.load();
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw permissionErrorOf(error) ?? error;
    const reason = `the database is unavailable: ${sentenceOf(error)}`;
    return { key: reason, reason };
  }
}
