import { html, type Html } from '../../lib/html.ts';

/** What a form shows. */
export interface FormState {
  /** Relative to the page that it stands in. */
  action: string;
  token: string;
  button: string;
  /** Left out: a button alone. */
  password?: PasswordField;
}

export interface PasswordField {
  minLength: number;
  /** A sentence each. */
  faults: readonly string[];
}

/**
 * One field, as a password manager fills it: who mistypes asks for another link. No `maxlength`, by which a browser cuts
 * what is pasted without a word (NIST SP 800-63B-4 section 3.1.1.2).
 */
const passwordField = ({ minLength, faults }: PasswordField): Html => {
  const invalid = faults.length > 0;
  return html`<label for="new_password">New password</label>
    <p class="hint soft" id="hint">
      At least ${minLength} characters. A few words in a row are easy to remember and hard to guess.
    </p>
    ${
      invalid
        ? html`<div class="faults" id="faults" role="alert">${faults.map((fault) => html`<p>${fault}</p>`)}</div>`
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
      ${invalid ? html`aria-invalid="true" aria-describedby="faults hint" autofocus` : html`aria-describedby="hint"`}
    />`;
};

/** Needs nothing against forgery: only who has the token can send it, and it is all that it takes. */
export const formOf = ({ action, token, button, password }: FormState): Html =>
  html`<form method="post" action="${action}">
    <input type="hidden" name="token" value="${token}" />
    ${password ? passwordField(password) : ''}
    <button type="submit">${button}</button>
  </form>`;
