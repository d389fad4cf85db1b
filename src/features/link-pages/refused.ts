import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import type { FailedRequest } from '../../http/endpoint.ts';
import { RateLimited } from '../../core/errors.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { type FieldError } from '../../lib/errors.ts';
import { InternalError } from '../../http/errors.ts';
import { html, type Html } from '../../lib/html.ts';
import { NotReady, Overloaded, type ApiError } from '../../lib/errors.ts';
import type { Link } from './links.ts';
import type { Page } from './page.ts';

const count = (amount: number, unit: string): string => `${amount} ${unit}${amount === 1 ? '' : 's'}`;

/** Rounded up, so that nobody comes too early. */
export function timeInWords(seconds: number): string {
  if (seconds < 60) return count(Math.ceil(seconds), 'second');
  if (seconds <= 90 * 60) return count(Math.ceil(seconds / 60), 'minute');
  return count(Math.ceil(seconds / 3600), 'hour');
}

export const paragraphs = (texts: readonly string[]): Html => html`${texts.map((text) => html`<p>${text}</p>`)}`;

/** The first paragraph says what is wrong. */
const alarm = (title: string, [first = '', ...more]: readonly string[], after: Html = html``): Page => ({
  state: 'Error',
  title,
  content: html`<p role="alert">${first}</p>
    ${paragraphs(more)} ${after}`,
});

const fieldErrors = ({ extras }: ApiError) => (extras.members?.['errors'] ?? []) as readonly FieldError[];

/** The schemas speak of a member, the password policy in sentences. */
const asSentence = (message: string): string => (message.startsWith('must ') ? `The password ${message}.` : message);

/** The page for each refusal. `again` is the form with its token, for what may succeed the next time. */
export function refusedPage(link: Link, refusal: ApiError, refused: FailedRequest, again: FormAgain): Page {
  const { requestId, retryAfterSeconds = 1 } = refused;
  const wait = timeInWords(retryAfterSeconds);
  if (refusal instanceof InvalidToken)
    return alarm('This link is not good any more', [
      'It was used already, is too old, or was replaced by a newer one.',
      ...link.another,
    ]);
  if (refusal instanceof ValidationFailed) {
    const faults = fieldErrors(refusal);
    const ofPassword = faults.filter(({ path }) => path === 'new_password').map(({ message }) => asSentence(message));
    if (ofPassword.length === faults.length) return { state: 'Error', title: link.title, content: again(ofPassword) };
    return alarm('This link is not complete', [
      'A part of it is missing, or something was added to it. Nothing was done.',
      'Open the link in the mail again. If your mail program cuts it in two, copy all of it into the address bar.',
    ]);
  }
  if (refusal instanceof RateLimited)
    return alarm('Too many attempts', [
      'There were too many attempts from your network. Nothing was done, and the link is as good as before.',
      `Wait ${wait}, then open the link in the mail again.`,
    ]);
  if (refusal instanceof Overloaded)
    return alarm(
      'The service is busy',
      [
        'Too many people want something at once. Nothing was done, and the link is as good as before.',
        `Wait ${wait}, then try again.`,
      ],
      again([]),
    );
  if (refusal instanceof NotReady)
    return alarm(
      'The service is not available',
      [
        `A part of it is out of order at the moment. Wait ${wait}, then try again.`,
        'If it then says that the link was used already, it has worked this time.',
      ],
      again([]),
    );
  if (refusal instanceof InternalError)
    return {
      ...alarm(
        'Something went wrong',
        [
          'The service has failed, and that is not your fault.',
          'Open the link in the mail again in a few minutes. If it fails again, report this number:',
        ],
        html`<p><code>${requestId}</code></p>`,
      ),
    };
  return alarm('This was not understood', [
    'What your browser sent cannot be read. Nothing was done, and the link is as good as before.',
    'Open the link in the mail again.',
  ]);
}

/** The form once more, with what is wrong with the password; nothing where the request bore no token. */
export type FormAgain = (faults: readonly string[]) => Html;
