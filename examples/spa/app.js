// The files of keyturn/client lie next to this one: cp -r node_modules/keyturn/dist/client keyturn-client
import { createClient } from './keyturn-client/index.js';
import { service } from './config.js';

const element = (id) => document.getElementById(id);
const form = element('signed-out');

const why = {
  logged_out: 'You are signed out.',
  expired: 'You were away for long. Please sign in again.',
  revoked: 'You were signed out from elsewhere.',
  reused: 'Your session was used from two places. If that was not you, change your password.',
  unknown_session: 'Please sign in again.',
  invalid: 'Please sign in again.',
};

const client = createClient({ baseUrl: service, transport: 'cookie', onSignedIn: showAccount, onSignedOut: showForm });

function show(isSignedIn, message) {
  element('signed-in').hidden = !isSignedIn;
  form.hidden = isSignedIn;
  element('message').textContent = message;
}

function showForm(reason) {
  element('who').textContent = '';
  show(false, reason ? why[reason] : 'Sign in, or register.');
}

function showAccount() {
  return attempt(async () => {
    const { display_name: name, email } = await (await client.fetch('/me')).json();
    element('who').textContent = `${name} (${email})`;
    show(true, `Welcome, ${name}.`);
  });
}

/** Runs what a button asks for, and says what is wrong. */
async function attempt(action) {
  element('message').textContent = 'One moment…';
  try {
    await action();
  } catch (error) {
    if (error.code === 'signed_out') return; // `onSignedOut` has said so
    const message = error.isTemporary ? 'The service cannot be reached. Please try again.' : error.detail;
    const faults = (error.errors ?? []).map((fault) => `${fault.path} ${fault.message}`);
    element('message').textContent = [message ?? String(error), ...faults].join(' ');
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  void attempt(async () => {
    await (element('is-new').checked ? client.register(fields) : client.login(fields));
    form.reset();
    showName();
  });
});

function showName() {
  const isNew = element('is-new').checked;
  element('name').hidden = form.display_name.disabled = !isNew;
  form.password.autocomplete = isNew ? 'new-password' : 'current-password';
  form.querySelector('button').textContent = isNew ? 'Register' : 'Sign in';
}

element('is-new').addEventListener('change', showName);
element('sign-out').addEventListener('click', () =>
  client.logout().catch(() => {
    // Only the service can take the cookie away: until it hears of it, a reload signs in again.
    element('message').textContent = 'The service could not be told. Reload this page, and sign out again.';
  }),
);
element('sign-out-everywhere').addEventListener('click', () => attempt(() => client.logoutAll()));

void attempt(async () => {
  const session = await client.resume();
  if (!session && form.hidden) showForm(); // nobody was signed in, so nobody was signed out
});
