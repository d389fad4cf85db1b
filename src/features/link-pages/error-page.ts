import { z } from 'zod';
import { RateLimited, ValidationFailed } from '../../core/errors.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-token.ts';
import { type ApiError, NotReady, Overloaded } from '../../lib/errors.ts';
import { html, type Html } from '../../lib/html.ts';
import type { Link } from './links.ts';
import { type Page, paragraphs } from './page.ts';

/** Renders the form again with the violations of the password policy. Empty if the request contained no token. */
export type RenderForm = (passwordErrors: readonly string[]) => Html;

const count = (amount: number, unit: string): string => `${amount} ${unit}${amount === 1 ? '' : 's'}`;

/** Rounds up, so that users do not retry too early. */
function formatSeconds(seconds: number): string {
  if (seconds < 60) return count(Math.ceil(seconds), 'second');
  if (seconds <= 90 * 60) return count(Math.ceil(seconds / 60), 'minute');
  return count(Math.ceil(seconds / 3600), 'hour');
}

/** The first paragraph says what is wrong. */
const alert = (title: string, [first = '', ...more]: readonly string[], after: Html = html``): Page => ({
  state: 'Error',
  title,
  content: html`<p role="alert">${first}</p>
    ${paragraphs(more)} ${after}`,
});

/** Schema messages are fragments ("must have…"); messages of the password policy are sentences. */
const toSentence = (message: string): string => (message.startsWith('must ') ? `The password ${message}.` : message);

const FieldErrors = z.array(z.object({ path: z.string(), message: z.string() }));

function invalidRequestPage(link: Link, error: ApiError, renderForm: RenderForm): Page {
  const errors = FieldErrors.parse(error.extras.members?.['errors']);
  const passwordErrors = errors.filter(({ path }) => path === 'new_password').map(({ message }) => toSentence(message));
  if (passwordErrors.length === errors.length)
    return { state: 'Error', title: link.title, content: renderForm(passwordErrors) };
  return alert('This link is incomplete', [
    'Part of the link is missing or was changed. Nothing was done.',
    'Open the link in the email again. If your email program splits the link into two lines, copy all of it into the address bar.',
  ]);
}

function unavailablePage(error: ApiError, wait: string, form: Html): Page {
  if (error instanceof Overloaded)
    return alert(
      'The service is busy',
      [
        'Too many people are using the service. Nothing was done, and the link still works.',
        `Wait ${wait}, then try again.`,
      ],
      form,
    );
  return alert(
    'The service is unavailable',
    [
      `Part of the service is unavailable. Wait ${wait}, then try again.`,
      'If the page then says that the link is no longer valid, the first attempt was successful.',
    ],
    form,
  );
}

interface FailedRequest {
  requestId: string;
  retryAfterSeconds: number | undefined;
}

/** The page for an error. `renderForm` lets the user try again if the next attempt can succeed. */
export function errorPage(link: Link, error: ApiError, failed: FailedRequest, renderForm: RenderForm): Page {
  const { requestId, retryAfterSeconds = 1 } = failed;
  const wait = formatSeconds(retryAfterSeconds);
  if (error instanceof InvalidToken)
    return alert('This link is no longer valid', [
      'It has expired, was already used, or was replaced by a newer one.',
      ...link.ifInvalid,
    ]);
  if (error instanceof ValidationFailed) return invalidRequestPage(link, error, renderForm);
  if (error instanceof RateLimited)
    return alert('Too many attempts', [
      'There were too many attempts from your network. Nothing was done, and the link still works.',
      `Wait ${wait}, then open the link in the email again.`,
    ]);
  if (error instanceof Overloaded || error instanceof NotReady) return unavailablePage(error, wait, renderForm([]));
  if (error.definition.status === 500)
    return alert(
      'Something went wrong',
      [
        'The service failed. This is not your fault.',
        'Open the link in the email again in a few minutes. If it fails again, contact support with this error ID:',
      ],
      html`<p><code>${requestId}</code></p>`,
    );
  return alert('Invalid request', [
    'Your browser sent data that the service cannot read. Nothing was done, and the link still works.',
    'Open the link in the email again.',
  ]);
}
