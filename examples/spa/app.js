// In your app: import { createClient } from 'keyturn/client';
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
  retryTimeoutMs: 3000, // then the app shows what is wrong
  onSignedIn: showAccount,
  onSignedOut: (reason) => showLogin(signedOutMessages[reason]),
});

function showLogin(message) {
  element('user').textContent = '';
  showMessage(message);
  form.hidden = false;
  element('account').hidden = element('problem').hidden = true;
}

async function showAccount() {
  await run(async () => {
    const response = await client.fetch('/me');
    if (!response.ok) throw new Error(`GET /me returned ${response.status}`);
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
  element('problem').hidden = true;
  showMessage('One moment…');
  try {
    await action();
  } catch (error) {
    if (error.code === 'signed_out') return; // `onSignedOut` has shown the reason
    if (['network', 'timeout', 'invalid_response'].includes(error.code)) return showProblem(await diagnose(), action);
    if (error.isTemporary) return showProblem(['The service is unavailable', 'Please try again in a moment.'], action);
    const fieldErrors = (error.errors ?? []).map(({ path, message }) => `${path} ${message}`);
    showMessage([error.detail ?? String(error), ...fieldErrors].join(' '));
  }
}

function showProblem([title, explanation], action) {
  const [heading, text] = element('problem').children;
  [heading.textContent, text.textContent] = [title, explanation];
  showMessage('');
  element('problem').hidden = false;
  element('retry').onclick = () => run(action);
}

/** Browsers do not tell a page why a request failed. Pages of every origin can read the keys of a Keyturn service. */
async function diagnose() {
  const { origin } = location;
  const load = () =>
    fetch(`${service}/.well-known/jwks.json`, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const response = await load().catch(() => undefined);
  if (!response)
    return [
      'The service does not respond',
      `Nothing answers at ${service}. Start the service, or correct its address.`,
    ];
  const keys = response.ok ? await response.json().catch(() => undefined) : undefined;
  if (response.ok && !keys?.keys)
    return ['This is not a Keyturn service', `Something else answers at ${service}. Correct the address.`];
  const isAllowed = await fetch(`${service}/healthz`, { cache: 'no-store' }).then(
    () => true,
    () => false,
  );
  if (isAllowed) return ['The service is unavailable', 'Please try again in a moment.'];
  return ['The service does not allow this page', `Add ${origin} to CORS_ORIGINS of ${service}, and restart it.`];
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
