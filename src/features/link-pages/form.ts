import { html, type Html } from '../../lib/html.ts';

export interface FormState {
  /** Relative to the page that contains the form. */
  action: string;
  token: string;
  button: string;
  /** Undefined for a form with only a button. */
  password?: PasswordField;
}

export interface PasswordField {
  minLength: number;
  /** One sentence each. */
  errors: readonly string[];
}

/**
 * One field, which password managers fill in: users who mistype request another link. Without `maxlength`, because browsers then
 * silently truncate pasted text (NIST SP 800-63B-4 section 3.1.1.2).
 */
const renderPasswordField = ({ minLength, errors }: PasswordField): Html => {
  const isInvalid = errors.length > 0;
  return html`<label for="new_password">New password</label>
    <p class="hint soft" id="hint">
      At least ${minLength} characters. A few random words are easy to remember and hard to guess.
    </p>
    ${
      isInvalid
        ? html`<div class="errors" id="errors" role="alert">${errors.map((error) => html`<p>${error}</p>`)}</div>`
        : ''
    }
    <input
      id="new_password"
      name="new_password"
      type="password"
      autocomplete="new-password"
      autocapitalize="none"
      spellcheck="false"
      minlength="${minLength}"
      required
      ${isInvalid ? html`aria-invalid="true" aria-describedby="errors hint" autofocus` : html`aria-describedby="hint"`}
    />`;
};

/** Needs no CSRF token: the one-time token authorizes the request, and other sites do not know it. */
export const renderForm = ({ action, token, button, password }: FormState): Html =>
  html`<form method="post" action="${action}">
    <input type="hidden" name="token" value="${token}" />
    ${password ? renderPasswordField(password) : ''}
    <button type="submit">${button}</button>
  </form>`;
