import { z } from 'zod';
import type { Transports } from '../../http/token-transport.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';

const CsrfToken = z
  .object({
    csrf_token: z.string().meta({ description: 'Send it as `X-CSRF-Token`; good for as long as the session' }),
  })
  .meta({
    id: 'CsrfToken',
    description: 'What a page sends with the cookie',
    examples: [{ csrf_token: 'q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c' }],
  });

/** A page on another host of the site cannot read this host's cookies; CORS lets it read this, if it is one of ours. */
export const csrf = ({ transports }: { transports: Transports }) => [
  endpoint({
    method: 'get',
    path: '/csrf',
    operationId: 'getCsrfToken',
    tag: 'Sessions',
    summary: 'Read the CSRF token of the cookie, after a reload',
    description:
      'For pages of this service and of `CORS_ORIGINS`, with credentials. It does not look whether the session lives.',
    refreshCookie: 'required',
    response: CsrfToken,
    errors: [InvalidRefreshToken, CsrfFailed],
    handle({ browser }) {
      const token = transports.csrfToken(browser);
      if (token === undefined) throw new InvalidRefreshToken('no cookie of ours');
      return { csrf_token: token };
    },
  }),
];
