import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import { presentedClient } from './clients.ts';
import { clientParameters, oauthForm, tokenParameters } from './forms.ts';
import { InvalidClient, InvalidGrant } from './oauth.errors.ts';
import { renderError, errorFormat } from './error-responses.ts';
import type { Revoke } from './revoke.ts';

const RevocationForm = oauthForm(
  { ...tokenParameters, ...clientParameters },
  { id: 'RevocationForm', description: 'A token that is to be good no more (RFC 7009)' },
).meta({ examples: [{ token: `ktr_${'A'.repeat(91)}`, token_type_hint: 'refresh_token' }] });

/** RFC 7009 section 2.2: "The content of the response body is ignored by the client". Some want JSON all the same. */
const Revoked = z
  .object({})
  .meta({ id: 'Revoked', description: 'Nothing: the status says it all (RFC 7009 section 2.2)', examples: [{}] });

export const revokeRoute = (revoke: Revoke) =>
  endpoint({
    method: 'post',
    path: '/revoke',
    operationId: 'revokeToken',
    tag: 'OAuth 2',
    summary: 'Take back a token, and its session',
    description:
      'Either token ends its session. A token that is unknown or not good any more is answered alike. An API key that ' +
      'authenticates ends all access tokens that it has now; the token of another client is refused with `invalid_grant`.',
    body: RevocationForm,
    bodyType: 'form',
    clientAuthentication: 'optional',
    response: Revoked,
    headers: { Pragma: 'no-cache' },
    renderError,
    errorFormat,
    errors: [InvalidClient, InvalidGrant, NotReady],
    async handle({ body, credentials, request }) {
      await revoke(body.token, presentedClient(body, credentials), request);
      return {};
    },
  });
