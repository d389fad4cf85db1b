import { inHours, type Template } from './template.ts';

export const resetPassword: Template = ({ hello, site }) => ({
  subject: 'Set a new password',
  paragraphs: [hello, `Somebody has asked for a new password for your account at ${site}.`],
  action: {
    lead: `If it was you, set one within ${inHours('password_reset')}. It logs you out everywhere else.`,
    label: 'Set a new password',
  },
  closing: ['If it was not you, do nothing: your password stays as it is. Pass this mail on to nobody.'],
});

const ifItWasNotYou = (site: string): string =>
  `If it was not you, somebody else has got into your account: ask for a new password at ${site} at once, and change the password of your mailbox, too.`;

export const passwordChanged: Template = ({ hello, site }) => ({
  subject: 'Your password was changed',
  paragraphs: [hello, `The password of your account at ${site} was changed by somebody who knew the old one.`],
  closing: ['If it was you, there is nothing to do.', ifItWasNotYou(site)],
});

export const passwordReset: Template = ({ hello, site }) => ({
  subject: 'Your password was set anew',
  paragraphs: [
    hello,
    `A new password was set for your account at ${site}, by a link that was mailed to you. Every session was logged out.`,
  ],
  closing: ['If it was you, there is nothing to do.', ifItWasNotYou(site)],
});
