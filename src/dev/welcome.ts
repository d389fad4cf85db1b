import { randomSecret } from '../lib/secrets.ts';

/** The text of a development start: commands to paste into a shell, which require only curl and sed. The email address is random. */
export function welcomeText(baseUrl: string): string {
  const email = `ada-${randomSecret(4).toString('hex')}@example.com`;
  const password = 'correct horse battery staple';
  return `
Keyturn is running at ${baseUrl}. Paste these commands one by one:

# Sign up.
curl -s ${baseUrl}/register -H 'content-type: application/json' -d '{"email":"${email}","password":"${password}","display_name":"Ada Lovelace"}'; echo
# Log in.
TOKENS=$(curl -s ${baseUrl}/login -H 'content-type: application/json' -d '{"email":"${email}","password":"${password}"}'); echo "$TOKENS"
# Exchange the refresh token for new tokens.
TOKENS=$(curl -s ${baseUrl}/refresh -H 'content-type: application/json' -d "{\\"refresh_token\\":\\"$(echo "$TOKENS" | sed 's/.*"refresh_token":"\\([^"]*\\)".*/\\1/')\\"}"); echo "$TOKENS"
# Read your account.
curl -s ${baseUrl}/me -H "authorization: Bearer $(echo "$TOKENS" | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"; echo

Make yourself an administrator, in a second terminal in the same folder:

npm run cli -- users create-admin admin@example.com

Try the example app in a second terminal: npm run example:spa

Read the API documentation and try it at ${baseUrl}/docs. Press Ctrl-C to stop. The data is kept in .data/.

`;
}
