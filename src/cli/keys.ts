import { type Environment, loadDirectUrl, loadMasterKeys } from '../config/environment.ts';
import { makeAudit } from '../core/audit/audit.ts';
import {
  commandLine,
  listKeys,
  requestRotation,
  revokeKey,
  type Rotation,
} from '../core/signing-keys/operator-actions.ts';
import { rewrapKeys } from '../core/signing-keys/rewrap-keys.ts';
import { systemClock } from '../lib/clock.ts';
import { StartupError } from '../lib/errors.ts';
import { deriveMasterKeys } from '../lib/master-keys.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { type Command, refuseMore, table, unknownCommand, UsageError } from './command.ts';
import { environmentOf } from './environment.ts';

const usage = `Usage: npm run cli -- keys <command>

  list          print the signing keys, without their private halves
  rotate        activate the next key as soon as every verifier can have it
  revoke KID    revoke a leaked key: its tokens are rejected immediately
  rewrap        encrypt every signing key with the first of MASTER_KEYS

Requires DATABASE_DIRECT_URL or DATABASE_URL. rewrap also requires MASTER_KEYS.
`;

/** Runs against the database and returns the text to print. */
type KeysCommand = (db: Database, env: Environment) => Promise<string>;

const audit = makeAudit({ clock: systemClock });

/** Parses all arguments before anything changes. @throws UsageError */
function parseCommand([command, ...args]: string[]): KeysCommand {
  if (command === 'revoke') {
    const [kid, ...rest] = args;
    if (!kid) throw new UsageError('KID is missing.');
    refuseMore(rest);
    return (db) => revoke(db, kid);
  }
  const commands: Record<string, KeysCommand> = { list, rotate, rewrap };
  const run = command !== undefined && Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (!run) throw unknownCommand(command);
  refuseMore(args);
  return run;
}

/** Lists or changes the signing keys. */
export const keys: Command = {
  usage,
  async run(args, terminal) {
    const command = parseCommand(args);
    const loaders = command === rewrap ? [loadDirectUrl, loadMasterKeys] : [loadDirectUrl];
    const env = await environmentOf(terminal, ...loaders);
    const text = await withDatabase(env, { timeoutSeconds: 10, namedStatements: false }, (db) => command(db, env));
    terminal.stdout.write(`${text}\n`);
  },
};

const list: KeysCommand = async (db) => {
  const rows = (await listKeys(db)).map(({ kid, alg, status, since, masterKeyId }) => [
    kid,
    alg,
    status,
    since.toISOString(),
    status === 'revoked' ? '-' : masterKeyId,
  ]);
  if (rows.length === 0) return 'There are no signing keys. The first process that starts creates them.';
  return table([['KID', 'ALG', 'STATUS', 'SINCE', 'MASTER KEY'], ...rows]);
};

const rotate: KeysCommand = async (db) => {
  const rotations = await db.transaction((tx) => requestRotation(tx, audit, commandLine));
  if (rotations.length === 0) throw new StartupError('There is no next signing key. Start a process to create one.');
  return rotations.map(describeRotation).join('\n');
};

function describeRotation(rotation: Rotation): string {
  const { kid } = rotation;
  if (rotation.kind === 'just_rotated') {
    const [activatedAt, nextReadyAt] = [rotation.activatedAt.toISOString(), rotation.nextReadyAt.toISOString()];
    return `${kid} became active at ${activatedAt}. Nothing to do. The next rotation is possible from ${nextReadyAt}.`;
  }
  if (rotation.isReady) return `${kid} becomes active in every running process within seconds.`;
  return `${kid} becomes active at ${rotation.readyAt.toISOString()}, when every verifier can have it.`;
}

async function revoke(db: Database, kid: string): Promise<string> {
  const result = await db.transaction((tx) => revokeKey(tx, audit, kid, commandLine));
  if (result.kind === 'not_found') throw new StartupError(`Signing key ${kid} does not exist. Run keys list.`);
  if (result.kind === 'already_revoked')
    return `${kid} was already revoked at ${result.revokedAt.toISOString()}. Nothing to do.`;
  const { previousStatus, activated } = result;
  const lines = [
    `Revoked ${kid}, which was ${previousStatus}. Its private half is destroyed and its tokens are rejected.`,
  ];
  if (previousStatus === 'active')
    lines.push(activated ? `${activated} is active now.` : 'No next key existed. A running process creates a new key.');
  lines.push('Other verifiers can accept the revoked key for twice JWKS_MAX_AGE.');
  return lines.join('\n');
}

const rewrap: KeysCommand = async (db, env) => {
  const masterKeys = deriveMasterKeys(loadMasterKeys(env));
  const kids = await rewrapKeys(db, audit, masterKeys);
  const masterKey = `master key ${masterKeys[0].id}`;
  if (kids.length === 0) return `Every signing key is already encrypted with ${masterKey}.`;
  return kids.map((kid) => `${kid} is now encrypted with ${masterKey}.`).join('\n');
};
