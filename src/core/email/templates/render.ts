import { type EmailMessage, type EmailKind, emailKinds } from '../email-messages.ts';
import { confirmNewEmail, emailChangeAsked, emailChanged, emailChangeUndone } from './email-change.ts';
import { layOut, type RenderedEmail } from './layout.ts';
import { greeting, masked } from './names.ts';
import { passwordChanged, passwordReset, resetPassword } from './password.ts';
import type { Template } from './template.ts';
import { addressInUse, alreadyRegistered, verifyEmail } from './verification.ts';

const templates: Readonly<Record<EmailKind, Template>> = {
  verify_email: verifyEmail,
  already_registered: alreadyRegistered,
  address_in_use: addressInUse,
  reset_password: resetPassword,
  password_changed: passwordChanged,
  password_reset: passwordReset,
  confirm_new_email: confirmNewEmail,
  email_change_asked: emailChangeAsked,
  email_changed: emailChanged,
  email_change_undone: emailChangeUndone,
};

/** A letter as it is sent. Its link begins with `appUrl`, whatever any request's headers said. */
export function renderEmail({ kind, name, token, newEmail }: EmailMessage, appUrl: string): RenderedEmail {
  const page = emailKinds[kind];
  const message = templates[kind]({
    hello: greeting(name),
    site: appUrl.replace(/^https?:\/\//, ''),
    newEmail: newEmail ? ` to ${masked(newEmail)}` : '',
  });
  return layOut(message, page && token && `${appUrl}/${page}?token=${encodeURIComponent(token.text)}`);
}
