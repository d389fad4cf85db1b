import { hasSmtp, loadAppUrl, loadDirectUrl, loadMasterKeys } from '../../config/environment.ts';
import { makeAudit } from '../../core/audit/audit.ts';
import { makeEmailCipher } from '../../core/email/email-cipher.ts';
import { makeOutbox } from '../../core/email/outbox.ts';
import { makeOneTimeTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import {
  type AdminOutcome,
  makeCreateAdmin,
  type NewAdmin,
  type StrippedCredentials,
} from '../../core/users/create-admin.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { DisplayName } from '../../core/users/user.ts';
import { systemClock } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import { deriveMasterKeys } from '../../lib/master-keys.ts';
import { withDatabase } from '../database.ts';
import { parseOptions, refuseMore, type Terminal, UsageError } from '../command.ts';
import { environmentOf } from '../environment.ts';

function splitArgs(args: string[]): { address: string; name: string; keepsCredentials: boolean } {
  const { values, words } = parseOptions(args, {
    name: { type: 'string', default: 'Administrator' },
    'keep-credentials': { type: 'boolean', default: false },
  });
  const [address, ...rest] = words;
  if (address === undefined) throw new UsageError('EMAIL is missing.');
  refuseMore(rest);
  return { address, name: values.name, keepsCredentials: values['keep-credentials'] };
}

function parseAdmin(args: string[]): NewAdmin {
  const { address, name, keepsCredentials } = splitArgs(args);
  const [email, displayName] = [EmailAddress.safeParse(address), DisplayName.safeParse(name)];
  const errors = [
    ...(email.error?.issues ?? []).map(({ message }) => `EMAIL ${message}`),
    ...(displayName.error?.issues ?? []).map(({ message }) => `--name ${message}`),
  ];
  if (!email.success || !displayName.success) throw new StartupError(`${errors.join('; ')}.`);
  return { email: email.data, displayName: displayName.data, keepsCredentials };
}

/**
 * Creates an administrator and prints a link to set the password of an account that has none or has lost it. With SMTP_URL, the owner
 * of an existing account is notified by email. @throws UsageError, StartupError
 */
export async function createAdmin(args: string[], terminal: Terminal): Promise<void> {
  const admin = parseAdmin(args);
  const env = await environmentOf(terminal, loadDirectUrl, loadMasterKeys, loadAppUrl);
  const [appUrl, masterKeys] = [loadAppUrl(env), deriveMasterKeys(loadMasterKeys(env))];
  const [{ recipient: recipientKey }] = masterKeys;
  const outcome = await withDatabase(env, { timeoutSeconds: 10, namedStatements: false }, (db) => {
    const clock = systemClock;
    const outbox = makeOutbox({
      emailCipher: makeEmailCipher(masterKeys),
      recipientKey,
      clock,
      isEnabled: hasSmtp(env),
      // The running service finds the email at its next poll.
      onEnqueued: () => {},
    });
    const oneTimeTokens = makeOneTimeTokens(db, masterKeys, clock);
    return makeCreateAdmin({ db, audit: makeAudit({ clock }), clock, outbox, oneTimeTokens })(admin);
  });
  const lines = describeOutcome(outcome, admin.email);
  if ('token' in outcome && outcome.token) {
    lines.push('Set the password within an hour with this link, which works once:');
    lines.push(`${appUrl}/reset-password?token=${encodeURIComponent(outcome.token.text)}`);
  }
  terminal.stdout.write(`${lines.join('\n')}\n`);
}

function describeOutcome(outcome: AdminOutcome, email: EmailAddress): string[] {
  switch (outcome.kind) {
    case 'disabled':
      throw new StartupError(`The account ${email} is disabled. Enable it first.`);
    case 'reserved':
      throw new StartupError(
        `${email} is reserved for an account that can still undo a change of its email address. Try again in three days.`,
      );
    case 'too_many_scopes':
      throw new StartupError(
        `The roles of ${email} contain so many scopes that access tokens would be too long with the role admin. ` +
          'Remove a role first, or use another account.',
      );
    case 'created':
      return [`Created the administrator ${email}.`];
    case 'already_admin':
      return [`${email} is already an administrator.${outcome.token ? '' : ' Nothing was changed.'}`];
    case 'granted':
      return [`${email} is now an administrator. New access tokens apply from the next login.`, describeGrant(outcome)];
  }
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

function describeGrant({
  stripped,
  emailVerified,
}: {
  stripped: StrippedCredentials | undefined;
  emailVerified: boolean;
}): string {
  if (stripped) {
    const removed = [count(stripped.sessions, 'session'), count(stripped.apiKeys.length, 'API key')].join(', ');
    const password = stripped.hadPassword ? 'the password, ' : '';
    return `Someone else may have registered the account, so these no longer work: ${password}${removed}, emailed links.`;
  }
  const warning = emailVerified ? '' : ' The email address is not verified, so make sure that you know who has them.';
  return `The account keeps its password, sessions and API keys.${warning}`;
}
