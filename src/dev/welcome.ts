import { randomSecret } from '../lib/secrets.ts';

/** Lines to paste into a shell: curl and sed are all they need. The address is new at each start. */
export function welcome(baseUrl: string): string {
  const email = `ada-${randomSecret(4).toString('hex')}@example.com`;
  const password = 'correct horse battery staple';
  return `
Keyturn listens on ${baseUrl}. Paste these lines one after the other:

# register
curl -s ${baseUrl}/register -H 'content-type: application/json' -d '{"email":"${email}","password":"${password}","display_name":"Ada Lovelace"}'; echo
# log in
TOKENS=$(curl -s ${baseUrl}/login -H 'content-type: application/json' -d '{"email":"${email}","password":"${password}"}'); echo "$TOKENS"
# trade the refresh token for a new pair
TOKENS=$(curl -s ${baseUrl}/refresh -H 'content-type: application/json' -d "{\\"refresh_token\\":\\"$(echo "$TOKENS" | sed 's/.*"refresh_token":"\\([^"]*\\)".*/\\1/')\\"}"); echo "$TOKENS"
# who am I
curl -s ${baseUrl}/me -H "authorization: Bearer $(echo "$TOKENS" | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"; echo

Read and try all of it at ${baseUrl}/docs. Ctrl-C stops everything. The data stays in .data/.

`;
}
