import type { OneTimeTokenId, UserId } from '../../lib/ids.ts';
import type { RequestSource } from '../request-info.ts';
import type { EmailAddress } from '../users/email-address.ts';

/** Every kind of email with the page that its link leads to. `templates/texts.ts` has a text for each. */
export const linkPages = {
  /** To a new account. */
  verify_email: 'verify-email',
  /** To the owner of an address that someone tried to sign up with. */
  already_registered: 'reset-password',
  reset_password: 'reset-password',
  /** After a change by a user who entered the current password. */
  password_changed: undefined,
  /** After a reset by link. */
  password_reset: undefined,
  /** To the new address of an email change. */
  confirm_new_email: 'verify-email',
  /** To the owner of an address that another user asked to change to. */
  address_in_use: undefined,
  /** To the old address when a change is requested. Without a link if the address is not verified. */
  email_change_asked: 'undo-email-change',
  /** To the old address when the change takes effect, if that address was verified. */
  email_changed: 'undo-email-change',
  /** To an account that an operator made an administrator. Without a link if its credentials were kept. */
  admin_granted: 'reset-password',
  /** To the old address after it was restored. */
  email_change_undone: 'reset-password',
} as const satisfies Record<string, 'verify-email' | 'reset-password' | 'undo-email-change' | undefined>;

export type EmailKind = keyof typeof linkPages;

const requestKinds = ['registration', 'verification', 'password_reset'] as const;

/** Every kind that can wait in the outbox: emails, and requests whose recipient is not looked up yet. */
export const outboxKinds: readonly string[] = [...Object.keys(linkPages), ...requestKinds];

/** The API keys that a security notice lists, newest first. */
export interface ApiKeysNotice {
  /** Whether they were revoked; otherwise they still work. */
  areRevoked: boolean;
  /** `name` is untrusted. `prefix` is the beginning of the secret. */
  keys: readonly { name: string; prefix: string }[];
}

/** An email to a known recipient. It is stored sealed until it is sent, then erased. */
export interface EmailMessage {
  kind: EmailKind;
  to: EmailAddress;
  /** The user's display name. Untrusted: anyone can register any address under any name. */
  name: string;
  /** The token of the email's link. */
  token?: { id: OneTimeTokenId; text: string };
  /** The new address of an email change. */
  newEmail?: EmailAddress;
  apiKeys?: ApiKeysNotice;
}

/**
 * An email whose recipient is not looked up yet. The worker does it later, so that the response takes the same time
 * whether or not an account has the address.
 */
export interface EmailRequest {
  kind: (typeof requestKinds)[number];
  email: EmailAddress;
  /** For `registration`: the new account. If another account has the address, nothing was created. */
  userId?: UserId;
  source: RequestSource;
}

/** Whether a person waits for the email of a request. Anyone can flood the service with registrations. */
export const isUrgentRequest = ({ kind }: EmailRequest): boolean => kind !== 'registration';
