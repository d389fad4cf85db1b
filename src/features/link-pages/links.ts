import type { RequestInfo } from '../../core/request-info.ts';

/** What one mailed link is for, in words. */
export interface Link {
  /** Of the page; the form goes to `<path>/confirm`. */
  path: string;
  title: string;
  /** Before the button: what it does. */
  intro: readonly string[];
  effects?: readonly string[];
  button: string;
  asksPassword: boolean;
  doneTitle: string;
  /** What happened, and what to do next. */
  done: readonly string[];
  /** How to get another where this one is not good. */
  another: readonly string[];
  /** Spends the token. @throws InvalidToken, ValidationFailed, Overloaded, NotReady */
  follow: Follow<{ token: string; newPassword: string }>;
}

type Follow<Given> = (given: Given, request: RequestInfo) => Promise<void>;

/** What the links do. */
export interface LinkDeps {
  verifyEmail: Follow<string>;
  resetPassword: Follow<{ token: string; newPassword: string }>;
  undoEmailChange: Follow<string>;
}

export const linksOf = ({ verifyEmail, resetPassword, undoEmailChange }: LinkDeps): readonly Link[] => [
  {
    path: '/verify-email',
    title: 'Confirm your e-mail address',
    intro: [
      'Press the button to confirm that the address this mail came to is yours, and that you want it for your account.',
    ],
    button: 'Confirm this address',
    asksPassword: false,
    doneTitle: 'Your address is confirmed',
    done: ['You can close this page, go back to the app and sign in.'],
    another: [
      'If you have confirmed your address already, there is nothing to do: go back to the app and sign in.',
      'Otherwise ask for a new mail in the app, and open the link in the newest one.',
    ],
    follow: ({ token }, request) => verifyEmail(token, request),
  },
  {
    path: '/reset-password',
    title: 'Choose a new password',
    intro: ['When you have set it, every device that is signed in to your account is signed out.'],
    button: 'Set this password',
    asksPassword: true,
    doneTitle: 'Your password is set',
    done: [
      'Every device that was signed in to your account is signed out.',
      'You can close this page, go back to the app and sign in with the new password.',
    ],
    another: ['Go back to the app, say there that you forgot your password, and open the link in the newest mail.'],
    follow: resetPassword,
  },
  {
    path: '/undo-email-change',
    title: 'Undo the change of your e-mail address',
    intro: ['Use this if you did not ask for your account to move to another address. When you press the button:'],
    effects: [
      'the address that this mail came to is the address of your account again;',
      'every device that is signed in to it is signed out;',
      'its password stops working, and a mail to this address lets you set a new one.',
    ],
    button: 'Undo the change',
    asksPassword: false,
    doneTitle: 'The change is undone',
    done: [
      'Your account belongs to your old address again. Every device is signed out, and the password works no longer.',
      'Open the mail that is on its way to that address, and set a new password with the link in it.',
    ],
    another: [
      'If you have used it, open the mail that came after that, and set a new password with the link in it.',
      'If you have not, and cannot sign in, say in the app that you forgot your password, or ask its support for help.',
    ],
    follow: ({ token }, request) => undoEmailChange(token, request),
  },
];
