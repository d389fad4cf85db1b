import { loadMasterKeys } from '../config.ts';
import { deriveMasterKeys } from '../lib/master-keys.ts';
import { askForRotation, listKeys, revokeKey, type RotationAnswer } from '../core/signing-keys/key-operations.store.ts';
import { rewrapKeys } from '../core/signing-keys/rewrap.ts';
import { StartupError } from '../lib/errors.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

export const keysUsage = `Usage: npm run cli -- keys <command>

  list          print the signing keys, without the private ones
  rotate        let the next key sign as soon as verifiers can know it
  revoke KID    destroy a key at once: what it signed is refused from now on
  rewrap        encrypt every signing key under the first of MASTER_KEYS

They need DATABASE_DIRECT_URL or DATABASE_URL, and rewrap needs MASTER_KEYS, too.
`;

type Work = (db: Database) => Promise<string>;

/** What a command's words ask for, read in full before anything is done. */
function workOf([command, kid, ...rest]: string[]): Work {
  if (rest.length > 0 || (kid !== undefined) !== (command === 'revoke')) throw new UsageError();
  if (command === 'list') return list;
  if (command === 'rotate') return rotate;
  if (command === 'revoke' && kid) return (db) => revoke(db, kid);
  if (command === 'rewrap') return rewrapUnder(deriveMasterKeys(loadMasterKeys()));
  throw new UsageError();
}

/** Prints what it did. @throws UsageError, or StartRefused with a sentence */
export async function keys(args: string[]): Promise<void> {
  const work = workOf(args);
  const told = await withDatabase({ timeoutSeconds: 10, repeats: false }, work);
  process.stdout.write(`${told}\n`);
}

const list: Work = async (db) => {
  const rows = (await listKeys(db)).map(({ kid, alg, status, since, masterKeyId }) => [
    kid,
    alg,
    status,
    since.toISOString(),
    status === 'revoked' ? '-' : masterKeyId,
  ]);
  if (rows.length === 0) return 'There are no signing keys: the first process that starts makes them.';
  return table([['KID', 'ALG', 'STATUS', 'SINCE', 'MASTER KEY'], ...rows]);
};

const rotate: Work = async (db) => {
  const answers = await askForRotation(db);
  if (answers.length === 0) throw new StartupError('There is no next signing key: start a process, which makes one.');
  return answers.map(tellRotation).join('\n');
};

function tellRotation(answer: RotationAnswer): string {
  const { kid, readyAt } = answer;
  if (answer.kind === 'done')
    return (
      `${kid} took over at ${answer.activatedAt.toISOString()}: nothing to do. ` +
      `The one after it can sign from ${readyAt.toISOString()}: ask again then.`
    );
  if (answer.ready) return `${kid} takes over now, in every running process within seconds.`;
  return `${kid} takes over at ${readyAt.toISOString()}, when every verifier can know it.`;
}

async function revoke(db: Database, kid: string): Promise<string> {
  const result = await revokeKey(db, kid);
  if (result.kind === 'unknown') throw new StartupError(`There is no signing key ${kid}: keys list names them.`);
  if (result.kind === 'already') return `${kid} was revoked at ${result.revokedAt.toISOString()}: nothing to do.`;
  const told = `Revoked ${kid}, which was ${result.was}. Its private half is destroyed, and what it signed is refused here.`;
  const caches = 'Verifiers elsewhere may keep it for twice JWKS_MAX_AGE.';
  if (result.was !== 'active') return `${told}\n${caches}`;
  const heir = result.successor
    ? `${result.successor} signs from now on.`
    : 'There was no next key: a running process makes a new one at once.';
  return `${told}\n${heir} ${caches}`;
}

const rewrapUnder =
  (masterKeys: Parameters<typeof rewrapKeys>[1]): Work =>
  async (db) => {
    const moved = await rewrapKeys(db, masterKeys);
    const under = `master key ${masterKeys[0].id}`;
    if (moved.length === 0) return `Every signing key is under ${under} already.`;
    return moved.map((kid) => `${kid} is now under ${under}`).join('\n');
  };
