import type { RequestInfo } from '../../core/request-info.ts';

/** The texts of one kind of emailed link, and the operation that it performs. */
export interface Link {
  /** The page. The form posts to `<path>/confirm`. */
  path: string;
  title: string;
  /** Before the button: what it does. */
  intro: readonly string[];
  effects?: readonly string[];
  button: string;
  requiresPassword: boolean;
  doneTitle: string;
  /** What happened, and what to do next. */
  done: readonly string[];
  /** What to do if the link is no longer valid. */
  ifInvalid: readonly string[];
  /** Spends the token. @throws InvalidToken, ValidationFailed, Overloaded, NotReady */
  follow: UseCase<{ token: string; newPassword: string }>;
}

type UseCase<Input> = (input: Input, request: RequestInfo) => Promise<void>;

export interface LinkDeps {
  verifyEmail: UseCase<string>;
  resetPassword: UseCase<{ token: string; newPassword: string }>;
  undoEmailChange: UseCase<string>;
}

export const linksOf = ({ verifyEmail, resetPassword, undoEmailChange }: LinkDeps): readonly Link[] => [
  {
    path: '/verify-email',
    title: 'Verify your email address',
    intro: [
      'Press the button to confirm that this email address is yours and that you want to use it for your account.',
    ],
    button: 'Verify email address',
    requiresPassword: false,
    doneTitle: 'Your email address is verified',
    done: ['You can close this page, go back to the app and log in.'],
    ifInvalid: [
      'If you already verified your email address, go back to the app and log in.',
      'Otherwise, request a new email in the app and open the link in the newest one.',
    ],
    follow: ({ token }, request) => verifyEmail(token, request),
  },
  {
    path: '/reset-password',
    title: 'Set a new password',
    intro: ['After you set a new password, you are logged out on all devices.'],
    button: 'Set password',
    requiresPassword: true,
    doneTitle: 'Your password was reset',
    done: [
      'You were logged out on all devices.',
      'You can close this page, go back to the app and log in with your new password.',
    ],
    ifInvalid: [
      'If you already set a new password with this link, go back to the app and log in with it.',
      'Otherwise, request another password reset in the app, and open the link in the newest email.',
    ],
    follow: resetPassword,
  },
  {
    path: '/undo-email-change',
    title: 'Undo the change of your email address',
    intro: ['Use this page if you did not ask to change the email address of your account. When you press the button:'],
    effects: [
      'Your account gets back the email address that received this link.',
      'All devices are logged out.',
      'The current password stops working. We send a link to set a new one to this email address.',
    ],
    button: 'Undo the change',
    requiresPassword: false,
    doneTitle: 'Your email address was restored',
    done: [
      'Your account has your old email address again. All devices were logged out, and the password no longer works.',
      'Open the email that we sent to this address, and set a new password with the link in it.',
    ],
    ifInvalid: [
      'If you already used this link, open the email that we sent afterwards, and set a new password with the link in it.',
      'Otherwise, if you cannot log in, request a password reset in the app or contact its support.',
    ],
    follow: ({ token }, request) => undoEmailChange(token, request),
  },
];
