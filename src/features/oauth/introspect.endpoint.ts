import { endpoint } from '../../http/endpoint.ts';
import { InsufficientScope, InvalidAccessToken } from '../../core/errors.ts';
import { NotReady } from '../../lib/errors.ts';
import { presentedClient } from './clients.ts';
import { clientParameters, oauthForm, tokenParameters } from './forms.ts';
import { type Introspect, Introspection, type RequireIntrospector } from './introspect.ts';
import { InvalidClient } from './oauth.errors.ts';
import { renderError, errorFormat } from './error-responses.ts';

const IntrospectionForm = oauthForm(
  { ...tokenParameters, ...clientParameters },
  { id: 'IntrospectionForm', description: 'A token that is asked after (RFC 7662)' },
).meta({ examples: [{ token: `ktr_${'A'.repeat(91)}` }] });

export const introspectRoute = (introspect: Introspect, requireIntrospector: RequireIntrospector) =>
  endpoint({
    method: 'post',
    path: '/introspect',
    operationId: 'introspectToken',
    tag: 'OAuth 2',
    summary: 'Ask whether a token is good, and for what',
    description:
      'For API keys with the scope `tokens:introspect`. Sees at once that a session was ended, an account disabled, a ' +
      'key revoked or a role taken away. Of a token that is not good, or meant for another audience, it says no more.',
    body: IntrospectionForm,
    bodyType: 'form',
    clientAuthentication: 'required',
    response: Introspection,
    headers: { Pragma: 'no-cache' },
    renderError,
    errorFormat,
    errors: [InvalidClient, InvalidAccessToken, InsufficientScope, NotReady],
    async handle({ body, credentials, request }) {
      const principal = await requireIntrospector(presentedClient(body, credentials), credentials, request);
      request.annotate({ userId: principal.userId });
      return introspect(body.token);
    },
  });
