import { z } from 'zod';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import type { TokenTransport } from '../../http/token-transport.ts';

const CsrfToken = z
  .object({
    csrf_token: z.string().meta({ description: 'Send it as `X-CSRF-Token`. Valid for the lifetime of the session' }),
  })
  .meta({
    id: 'CsrfToken',
    description: 'The token that a page sends with the cookie',
    examples: [{ csrf_token: 'q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c' }],
  });

/** Pages on another host of the site cannot read this host's cookies, but CORS lets allowed pages read this response. */
export const csrfEndpoints = ({ tokenTransport }: { tokenTransport: TokenTransport }): Endpoint[] => [
  endpoint({
    method: 'get',
    path: '/csrf',
    operationId: 'getCsrfToken',
    tag: 'Sessions',
    summary: "Get the CSRF token of the cookie's session",
    description:
      'Pages of this service and of the origins in `CORS_ORIGINS` call this after a reload. Send the request with ' +
      'credentials. The response does not show whether the session is still live.',
    refreshCookie: 'required',
    response: CsrfToken,
    errors: [InvalidRefreshToken, CsrfFailed],
    handle({ browser }) {
      const csrfToken = tokenTransport.csrfToken(browser);
      if (csrfToken === undefined) throw new InvalidRefreshToken('no genuine cookie');
      return { csrf_token: csrfToken };
    },
  }),
];
