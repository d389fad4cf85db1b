// The text of every email. Subjects are constant: they contain nothing that a stranger can choose.
import { lifetimeSeconds, type Purpose } from '../../one-time-tokens/one-time-token.ts';
import type { EmailKind } from '../email-message.ts';
import type { EmailText } from './layout.ts';

/** The variable parts. They are untrusted; the layout escapes them. */
interface Values {
  /** The greeting, with the name if it is harmless. */
  hello: string;
  /** The app's address without the scheme. */
  site: string;
  /** ` to ` and the masked new address of an email change; otherwise empty. */
  toNewEmail: string;
  hasLink: boolean;
  /** The paragraphs that list API keys; empty if the account has none. */
  apiKeys: readonly string[];
}

/** The lifetime of a link. It starts when the email is sent. */
function within(purpose: Purpose): string {
  const hours = lifetimeSeconds[purpose] / 3600;
  return `within ${hours} ${hours === 1 ? 'hour' : 'hours'}`;
}

const noActionNeeded = 'If this was you, no action is needed.';

const secureAccount = (site: string): string =>
  `If this wasn't you, someone else has access to your account. Reset your password at ${site} right away, and change the password of your email account.`;

const undoEmailChange = (verb: string) => ({
  lead: `If this wasn't you, ${verb} the change ${within('email_undo')}. This logs you out on all devices and lets you set a new password:`,
  label: "This wasn't me",
});

export const texts: Readonly<Record<EmailKind, (values: Values) => EmailText>> = {
  verify_email: ({ hello, site }) => ({
    subject: 'Verify your email address',
    paragraphs: [hello, `Thanks for signing up at ${site}.`],
    action: {
      lead: `Please verify your email address ${within('verification')}:`,
      label: 'Verify email address',
    },
    closing: ["If you didn't sign up, you can ignore this email."],
  }),

  already_registered: ({ hello, site }) => ({
    subject: 'You already have an account',
    paragraphs: [
      hello,
      `Someone tried to sign up at ${site} with this email address. You already have an account there, so nothing was changed.`,
      'If this was you, log in with your password.',
    ],
    action: {
      lead: `If you forgot your password, set a new one ${within('password_reset')}:`,
      label: 'Set new password',
    },
    closing: [
      "If this wasn't you, you can ignore this email. Your account is safe, and the other person did not learn that it exists.",
    ],
  }),

  reset_password: ({ hello, site }) => ({
    subject: 'Reset your password',
    paragraphs: [hello, `We received a request to reset the password of your account at ${site}.`],
    action: {
      lead: `Set a new password ${within('password_reset')}. This logs you out on all devices:`,
      label: 'Set new password',
    },
    closing: [
      "If you didn't request this, you can ignore this email. Your password stays the same.",
      "Don't forward this email. Anyone who has the link can set your password.",
    ],
  }),

  password_changed: ({ hello, site, apiKeys }) => ({
    subject: 'Your password was changed',
    paragraphs: [
      hello,
      `The password of your account at ${site} was changed, and your other devices were logged out.`,
      ...apiKeys,
    ],
    closing: [noActionNeeded, secureAccount(site)],
  }),

  password_reset: ({ hello, site, apiKeys }) => ({
    subject: 'Your password was reset',
    paragraphs: [
      hello,
      `The password of your account at ${site} was reset with a link that we sent to this address. You were logged out on all devices.`,
      ...apiKeys,
    ],
    closing: [noActionNeeded, secureAccount(site)],
  }),

  confirm_new_email: ({ hello, site }) => ({
    subject: 'Confirm your new email address',
    paragraphs: [hello, `You asked to use this email address for your account at ${site}.`],
    action: {
      lead: `Please confirm the change ${within('email_change')}:`,
      label: 'Confirm new email address',
    },
    closing: ["If you didn't request this, you can ignore this email. Nothing will be changed."],
  }),

  // The recipient is a stranger to the requesting user, so the email does not contain that user's name.
  address_in_use: ({ site }) => ({
    subject: 'This email address already has an account',
    paragraphs: [
      'Hello,',
      `Someone asked to change the email address of another account at ${site} to this one. This email address already belongs to an account, so nothing was changed.`,
      'If this was you, delete the account that has this email address first, or choose a different email address.',
    ],
    closing: [
      "If this wasn't you, you can ignore this email. Your account is safe, and the other person did not learn that it exists.",
    ],
  }),

  email_change_asked: ({ hello, site, toNewEmail, hasLink }) => ({
    subject: 'Request to change your email address',
    paragraphs: [
      hello,
      `We received a request to change the email address of your account at ${site}${toNewEmail}. The change takes effect when the new email address is confirmed.`,
      'If this was you, open the link in the email that we sent to the new address. No action is needed here.',
    ],
    action: undoEmailChange('cancel'),
    // An address that was never verified gets no link.
    closing: hasLink ? [] : [`If this wasn't you, reset your password at ${site} now. A reset cancels the change.`],
  }),

  email_changed: ({ hello, site, toNewEmail, apiKeys }) => ({
    subject: 'Your email address was changed',
    paragraphs: [
      hello,
      `The email address of your account at ${site} was changed${toNewEmail}. We will send future emails to the new address.`,
      ...apiKeys,
      noActionNeeded,
    ],
    action: undoEmailChange('undo'),
    closing: [],
  }),

  admin_granted: ({ hello, site, apiKeys, hasLink }) => ({
    subject: 'You are now an administrator',
    paragraphs: [
      hello,
      `An operator made your account at ${site} an administrator.`,
      ...(hasLink
        ? [
            'Someone else may have had access to the account. Its password no longer works, and all devices were logged out.',
          ]
        : []),
      ...apiKeys,
    ],
    action: {
      lead: `Set a new password ${within('password_reset')}:`,
      label: 'Set new password',
    },
    closing: ["If you didn't request this, tell the operator of the service."],
  }),

  email_change_undone: ({ hello, site, apiKeys }) => ({
    subject: 'Your email address was restored',
    paragraphs: [
      hello,
      `The change of the email address of your account at ${site} was undone. The account has this email address again, and all devices were logged out.`,
      'The person who requested the change may know your password, so it no longer works.',
      ...apiKeys,
    ],
    action: {
      lead: `Set a new password ${within('password_reset')}:`,
      label: 'Set new password',
    },
    closing: ['If someone else may know the password of your email account, change it as well.'],
  }),
};
