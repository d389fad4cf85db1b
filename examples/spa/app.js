// Copy the client next to this file first: cp -r node_modules/keyturn/dist/client keyturn-client
import { createClient } from './keyturn-client/index.js';
import { service } from './config.js';

const element = (id) => document.getElementById(id);
const form = element('login');

const signedOutMessages = {
  logged_out: 'You are logged out.',
  expired: 'Your session has expired. Please log in again.',
  revoked: 'Your session was ended on another device or by an administrator.',
  reused: 'Your session was used from two places. If that was not you, change your password.',
  unknown_session: 'Please log in again.',
  invalid: 'Please log in again.',
};

const client = createClient({
  baseUrl: service,
  transport: 'cookie',
  onSignedIn: showAccount,
  onSignedOut: (reason) => showLogin(signedOutMessages[reason]),
});

function showLogin(message) {
  element('user').textContent = '';
  showMessage(message);
  form.hidden = false;
  element('account').hidden = true;
}

async function showAccount() {
  await run(async () => {
    const response = await client.fetch('/me');
    const { display_name: name, email } = await response.json();
    element('user').textContent = `${name} (${email})`;
    showMessage(`Welcome, ${name}.`);
    form.hidden = true;
    element('account').hidden = false;
  });
}

function showMessage(message) {
  element('message').textContent = message;
}

/** Runs an action and shows its error, if any. */
async function run(action) {
  showMessage('One moment…');
  try {
    await action();
  } catch (error) {
    if (error.code !== 'signed_out') showMessage(describe(error)); // `onSignedOut` has shown the reason
  }
}

function describe(error) {
  if (error.isTemporary) return 'The service is unavailable. Please try again.';
  const fieldErrors = (error.errors ?? []).map(({ path, message }) => `${path} ${message}`);
  return [error.detail ?? String(error), ...fieldErrors].join(' ');
}

function updateForm() {
  const isNew = element('is-new').checked;
  element('name').hidden = !isNew;
  form.display_name.disabled = !isNew;
  form.password.autocomplete = isNew ? 'new-password' : 'current-password';
  form.querySelector('button').textContent = isNew ? 'Sign up' : 'Log in';
}

element('is-new').addEventListener('change', updateForm);

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  void run(async () => {
    await (element('is-new').checked ? client.register(fields) : client.login(fields));
    form.reset();
    updateForm();
  });
});

element('log-out').addEventListener('click', () => {
  // Only the service can delete the cookie.
  const message = 'The service is unavailable. To log out completely, reload this page and log out again.';
  client.logout().catch(() => showMessage(message));
});

element('log-out-everywhere').addEventListener('click', () => run(() => client.logoutAll()));

// On page load, restore the session. `onSignedIn` shows the account.
void run(async () => {
  const session = await client.resume();
  if (!session && form.hidden) showLogin('Log in or sign up.');
});
