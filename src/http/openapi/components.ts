import type { Json } from './schemas.ts';

/** How Swagger UI logs in; undefined if the password grant is off. */
export interface PasswordFlow {
  tokenUrl: string;
  scopes: Readonly<Record<string, string>>;
}

/** Swagger UI shows them in this order: first what a newcomer has, an email address and a password, last what browsers do themselves. */
export const securitySchemes = (passwordFlow: PasswordFlow | undefined): Json => ({
  ...(passwordFlow
    ? {
        oauth2: { type: 'oauth2', description: 'An email address and its password', flows: { password: passwordFlow } },
      }
    : {}),
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'An access token (RFC 9068) with the scopes of the operation, such as the `access_token` of `POST /login`',
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-API-Key',
    description: 'The secret of an API key with the scopes of the operation',
  },
  clientBasic: {
    type: 'http',
    scheme: 'basic',
    description:
      "An API key's `client_id` and `client_secret` (RFC 6749 section 2.3.1). The form can contain them instead",
  },
  refreshCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-refresh_token',
    description: 'The cookie of a login with `"transport": "cookie"`. The request must have an allowed `Origin`',
  },
  csrfToken: {
    type: 'apiKey',
    in: 'header',
    name: 'X-CSRF-Token',
    description: 'The `csrf_token` of the latest response, or of `GET /csrf`',
  },
});

export const headers: Json = {
  XRequestId: {
    description:
      'Identifies the request in the log of the service. If the request has a valid `X-Request-Id`, the response repeats it, and ' +
      'the log has it as `client_request_id`',
    schema: { type: 'string' },
  },
  WWWAuthenticate: { description: 'The challenge (RFC 6750 section 3)', schema: { type: 'string' } },
  RateLimit: {
    description:
      'The remaining requests of a limit, and the seconds until its window ends (draft-ietf-httpapi-ratelimit-headers-08)',
    schema: { type: 'string', examples: ['"login"; r=19; t=900'] },
  },
  RateLimitPolicy: {
    description: 'The limit: the requests per window, the window in seconds, and a key of the client',
    schema: { type: 'string', examples: ['"login"; q=20; w=900; pk=:YTM0NWQ3ZjFmYzMx:'] },
  },
  RetryAfter: { description: 'Seconds to wait before the next attempt', schema: { type: 'integer', minimum: 1 } },
};
