// The pages of emailed links in front of fake use cases. The token decides the outcome; successful calls are recorded.
import { InvalidToken } from '../../src/core/one-time-tokens/one-time-token.ts';
import { loadBlocklist, makePasswordPolicy } from '../../src/core/users/password-policy.ts';
import { linkPageEndpoints } from '../../src/features/link-pages/link-pages.endpoints.ts';
import { ValidationFailed } from '../../src/core/errors.ts';
import { NotReady, Overloaded } from '../../src/lib/errors.ts';
import { serveEndpoints, type ServeOptions } from './endpoints.ts';

/** Has the length of a real token. */
const tokenOf = (name: string) => `kto_${name.padEnd(86, '_')}`;

export const tokens = {
  good: tokenOf('good'),
  invalid: tokenOf('invalid'),
  busy: tokenOf('busy'),
  down: tokenOf('down'),
  faulty: tokenOf('faulty'),
} as const;

export interface Followed {
  link: string;
  token: string;
  newPassword?: string;
}

export async function serveLinks(options: ServeOptions = {}) {
  const followed: Followed[] = [];
  const policy = makePasswordPolicy({ minLength: 8, blocklist: await loadBlocklist() });
  const use = (token: string): void => {
    if (token === tokens.invalid) throw new InvalidToken('not live');
    if (token === tokens.busy) throw new Overloaded('hashing', 5);
    if (token === tokens.down) throw new NotReady('database');
    if (token === tokens.faulty) throw new TypeError('an error with a secret in it');
  };
  const follow = (link: string) => async (token: string) => {
    use(token);
    followed.push({ link, token });
  };
  const pages = linkPageEndpoints({
    baseUrl: 'https://auth.example.com/tenant',
    passwordMinLength: 8,
    verifyEmail: follow('verify-email'),
    undoEmailChange: follow('undo-email-change'),
    async resetPassword({ token, newPassword }) {
      use(token);
      const violations = policy.checkOffline(newPassword);
      if (violations.length > 0)
        throw new ValidationFailed(violations.map((message) => ({ path: 'new_password', message })));
      followed.push({ link: 'reset-password', token, newPassword });
    },
  });
  return { ...(await serveEndpoints(pages, options)), followed };
}
