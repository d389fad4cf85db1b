import type { OneTimeTokenId } from '../../lib/ids.ts';
import type { EmailAddress } from '../users/email-address.ts';

/** Every letter that the service writes, with what its link is for; `templates/` has a text for each. */
export const emailKinds = {
  /** To a new account: confirm the address. */
  verify_email: 'verify-email',
  /** Somebody registered with an address that has an account. */
  already_registered: 'reset-password',
  reset_password: 'reset-password',
  /** The password was changed by somebody who knew the old one. */
  password_changed: undefined,
  /** The password was set by a link. */
  password_reset: undefined,
  /** To the new address: confirm that it is yours. */
  confirm_new_email: 'verify-email',
  /** To an address that another account would move to, which cannot be. */
  address_in_use: undefined,
  /** To the old address: a change was asked for. */
  email_change_asked: 'undo-email-change',
  /** To the old address: the change has happened. */
  email_changed: 'undo-email-change',
  /** To the old address, which is the account's again: set a new password. */
  email_change_undone: 'reset-password',
} as const satisfies Record<string, 'verify-email' | 'reset-password' | 'undo-email-change' | undefined>;

export type EmailKind = keyof typeof emailKinds;

/** What a letter says besides its template. It is kept sealed until it is sent, then erased. */
export interface EmailMessage {
  kind: EmailKind;
  to: EmailAddress;
  /** The account's display name: a stranger may have chosen it. */
  name: string;
  /** The token of its link, where it has one. */
  token?: { id: OneTimeTokenId; text: string };
  /** The address that the account moves to, as far as the old one is told. */
  newEmail?: EmailAddress;
}
