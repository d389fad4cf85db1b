import { inHours, type Template } from './template.ts';

export const verifyEmail: Template = ({ hello, site }) => ({
  subject: 'Confirm your e-mail address',
  paragraphs: [hello, `An account was made at ${site} with this e-mail address.`],
  action: {
    lead: `If it was you, confirm that the address is yours within ${inHours('verification')}:`,
    label: 'Confirm my address',
  },
  closing: ['If it was not you, do nothing: without this the address stays unconfirmed.'],
});

/** To a stranger's mailbox: not even the name of whoever asked is told. */
export const addressInUse: Template = ({ site }) => ({
  subject: 'You already have an account',
  paragraphs: [
    'Hello,',
    `Somebody has just asked to move another account at ${site} to this e-mail address. It has an account already, so nothing was changed.`,
    'If it was you, delete the account of this address first, or choose another address.',
  ],
  closing: ['If it was not you, do nothing: whoever it was has learnt nothing, and your account is safe.'],
});

export const alreadyRegistered: Template = ({ hello, site }) => ({
  subject: 'You already have an account',
  paragraphs: [
    hello,
    `Somebody has just tried to use this e-mail address for an account at ${site}. It has one already, so nothing was changed.`,
    'If it was you, log in with your password.',
  ],
  action: {
    lead: `If you do not know it any more, set a new one within ${inHours('password_reset')}:`,
    label: 'Set a new password',
  },
  closing: ['If it was not you, do nothing: whoever it was has learnt nothing, and your account is safe.'],
});
