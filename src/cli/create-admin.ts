import { parseArgs } from 'node:util';
import { loadAppUrl, loadMasterKeys } from '../config.ts';
import { deriveMasterKeys } from '../lib/master-keys.ts';
import { makeOneTimeTokens } from '../core/one-time-tokens/one-time-tokens.ts';
import { type AdminOutcome, makeAdmin } from '../core/users/create-admin.store.ts';
import { EmailAddress } from '../core/users/email-address.ts';
import { createUnusableHash } from '../core/users/new-password.ts';
import { DisplayName } from '../core/users/user.ts';
import { systemClock } from '../lib/clock.ts';
import { newId, type UserId } from '../lib/ids.ts';
import { StartupError } from '../lib/errors.ts';
import { withDatabase } from './database.ts';
import { UsageError } from './usage-error.ts';

interface Words {
  email: EmailAddress;
  displayName: string;
  mayBeUnverified: boolean;
}

function split(args: string[]): { address: string; name: string; unverified: boolean } {
  try {
    const options = {
      name: { type: 'string', default: 'Administrator' },
      unverified: { type: 'boolean', default: false },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [address, ...rest] = positionals;
    if (address === undefined || rest.length > 0) throw new UsageError();
    return { address, ...values };
  } catch {
    throw new UsageError();
  }
}

function wordsOf(args: string[]): Words {
  const { address, name, unverified: mayBeUnverified } = split(args);
  const [email, displayName] = [EmailAddress.safeParse(address), DisplayName.safeParse(name)];
  const faults = [
    ...(email.error?.issues ?? []).map(({ message }) => `EMAIL ${message}`),
    ...(displayName.error?.issues ?? []).map(({ message }) => `--name ${message}`),
  ];
  if (!email.success || !displayName.success) throw new StartupError(`${faults.join('; ')}.`);
  return { email: email.data, displayName: displayName.data, mayBeUnverified };
}

/** Makes an administrator, and prints a link to set the password where there is none. @throws UsageError, or StartRefused */
export async function createAdmin(args: string[]): Promise<void> {
  const words = wordsOf(args);
  const { email } = words;
  const [appUrl, masterKeys] = [loadAppUrl(), deriveMasterKeys(loadMasterKeys())];
  const outcome = await withDatabase({ timeoutSeconds: 10, repeats: false }, (db) => {
    const tokens = makeOneTimeTokens(db, masterKeys, systemClock);
    const admin = { ...words, id: newId<UserId>(systemClock.nowMs()), createUnusableHash: createUnusableHash() };
    return makeAdmin(db, admin, async (tx, id) => {
      const { text } = await tokens.issue(tx, id, 'password_reset', email);
      return `${appUrl}/reset-password?token=${encodeURIComponent(text)}`;
    });
  });
  process.stdout.write(`${tell(outcome, email)}\n`);
}

function tell(outcome: AdminOutcome, email: EmailAddress): string {
  if (outcome.kind === 'disabled') throw new StartupError(`The account of ${email} is disabled. Enable it first.`);
  if (outcome.kind === 'reserved')
    throw new StartupError(`${email} is kept for an account that may still take it back. Try again in three days.`);
  if (outcome.kind === 'unverified')
    throw new StartupError(
      `There is an account of ${email}, but nobody has confirmed the address: whoever registered it would be the ` +
        'administrator. Have it confirmed first, or say --unverified if you know whose it is.',
    );
  const { kind, link } = outcome;
  const told = {
    made: `Made an account for ${email}, an administrator.`,
    granted: `${email} is an administrator from now on, in tokens from the next login.`,
    already: `${email} is an administrator already.`,
  }[kind];
  if (link === undefined) return told;
  return `${told} Set its password within the hour, by this link, which is good once:\n${link}`;
}
