import { inHours, type Template } from './template.ts';

export const confirmNewEmail: Template = ({ hello, site }) => ({
  subject: 'Confirm your new e-mail address',
  paragraphs: [hello, `An account at ${site} is to get this e-mail address.`],
  action: {
    lead: `If it is yours, confirm the change within ${inHours('email_change')}:`,
    label: 'Confirm my new address',
  },
  closing: ['If you do not know of it, do nothing: without this nothing is changed.'],
});

const undo = {
  lead: `If it was not you, undo it within ${inHours('email_undo')}. It logs everybody out of your account, and you set a new password:`,
  label: 'That was not me',
};

export const emailChangeAsked: Template = ({ hello, site, newEmail }) => ({
  subject: 'Your e-mail address is to be changed',
  paragraphs: [
    hello,
    `Somebody who is logged in to your account at ${site} has asked to change its e-mail address${newEmail}. It changes when the new address is confirmed.`,
    'If it was you, there is nothing to do here: the link to confirm it is in the other mailbox.',
  ],
  action: undo,
  closing: [],
});

export const emailChanged: Template = ({ hello, site, newEmail }) => ({
  subject: 'Your e-mail address was changed',
  paragraphs: [
    hello,
    `The e-mail address of your account at ${site} was changed${newEmail}. This is the last mail to the old one.`,
    'If it was you, there is nothing to do.',
  ],
  action: undo,
  closing: [],
});

export const emailChangeUndone: Template = ({ hello, site }) => ({
  subject: 'Your e-mail address is yours again',
  paragraphs: [
    hello,
    `The change of the e-mail address of your account at ${site} was undone: this address is the account's again. Every session was logged out.`,
  ],
  action: {
    lead: `Whoever asked for the change may know your password. Set a new one within ${inHours('password_reset')}:`,
    label: 'Set a new password',
  },
  closing: ['Change the password of your mailbox, too, if somebody else may know it.'],
});
