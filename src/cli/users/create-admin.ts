import { parseArgs } from 'node:util';
import { loadAppUrl, loadMasterKeys } from '../../config.ts';
import { makeAudit } from '../../core/audit/audit.ts';
import { makeOneTimeTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import { type AdminOutcome, makeCreateAdmin, type NewAdmin } from '../../core/users/create-admin.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { DisplayName } from '../../core/users/user.ts';
import { systemClock } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import { deriveMasterKeys } from '../../lib/master-keys.ts';
import { withDatabase } from '../database.ts';
import { type Terminal, UsageError } from '../command.ts';

function splitArgs(args: string[]): { address: string; name: string; unverified: boolean } {
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

function parseAdmin(args: string[]): NewAdmin {
  const { address, name, unverified } = splitArgs(args);
  const [email, displayName] = [EmailAddress.safeParse(address), DisplayName.safeParse(name)];
  const errors = [
    ...(email.error?.issues ?? []).map(({ message }) => `EMAIL ${message}`),
    ...(displayName.error?.issues ?? []).map(({ message }) => `--name ${message}`),
  ];
  if (!email.success || !displayName.success) throw new StartupError(`${errors.join('; ')}.`);
  return { email: email.data, displayName: displayName.data, allowUnverified: unverified };
}

/** Creates an administrator and prints a link to set the password of an account that has none. @throws UsageError, StartupError */
export async function createAdmin(args: string[], { env, stdout }: Terminal): Promise<void> {
  const admin = parseAdmin(args);
  const [appUrl, masterKeys] = [loadAppUrl(env), deriveMasterKeys(loadMasterKeys(env))];
  const outcome = await withDatabase(env, { timeoutSeconds: 10, namedStatements: false }, (db) => {
    const tokens = makeOneTimeTokens(db, masterKeys, systemClock);
    return makeCreateAdmin({
      db,
      audit: makeAudit({ clock: systemClock }),
      clock: systemClock,
      async issueLink(tx, userId, email) {
        const { text } = await tokens.issue(tx, userId, 'password_reset', email);
        return `${appUrl}/reset-password?token=${encodeURIComponent(text)}`;
      },
    })(admin);
  });
  stdout.write(`${describeOutcome(outcome, admin.email)}\n`);
}

function describeOutcome(outcome: AdminOutcome, email: EmailAddress): string {
  switch (outcome.kind) {
    case 'disabled':
      throw new StartupError(`The account ${email} is disabled. Enable it first.`);
    case 'reserved':
      throw new StartupError(
        `${email} is reserved for an account that can still undo a change of its email address. Try again in three days.`,
      );
    case 'unverified':
      throw new StartupError(
        `The account ${email} exists, but its email address is not verified, so anyone may have registered it. ` +
          'Verify the address first, or use --unverified if you know the owner of the account.',
      );
    case 'too_many_scopes':
      throw new StartupError(
        `The roles of ${email} contain so many scopes that access tokens would be too long with the role admin. ` +
          'Remove a role first, or use another account.',
      );
    case 'created':
      return withLink(`Created the administrator ${email}.`, outcome.link);
    case 'granted':
      return withLink(`${email} is now an administrator. New access tokens apply from the next login.`, outcome.link);
    case 'already_admin':
      return withLink(`${email} is already an administrator.`, outcome.link);
  }
}

const withLink = (text: string, link: string | undefined): string =>
  link === undefined ? text : `${text} Set the password within an hour with this link, which works once:\n${link}`;
