import { apiInfo } from './api-info.ts';
import { type Container, type ContainerDeps, makeContainer } from './container.ts';
import { ownScopes } from './core/authorization/scopes.ts';
import { makeRotateSession } from './core/sessions/rotate-session.ts';
import { accountEndpoints } from './features/account/account.endpoints.ts';
import { apiKeyEndpoints } from './features/api-keys/api-keys.endpoints.ts';
import { auditEndpoints } from './features/audit/audit.endpoints.ts';
import { csrfEndpoints } from './features/csrf/csrf.endpoints.ts';
import { discoveryEndpoints } from './features/discovery/discovery.endpoints.ts';
import { docsEndpoints } from './features/docs/docs.endpoints.ts';
import { makeConfirmEmailChange } from './features/email-change/confirm-email-change.ts';
import { emailChangeEndpoints } from './features/email-change/email-change.endpoints.ts';
import { makeUndoEmailChange } from './features/email-change/undo-email-change.ts';
import { emailVerificationEndpoints } from './features/email-verification/email-verification.endpoints.ts';
import { makeVerifyEmail } from './features/email-verification/verify-email.ts';
import { healthEndpoints } from './features/health/health.endpoints.ts';
import { linkPageEndpoints } from './features/link-pages/link-pages.endpoints.ts';
import { loginEndpoints } from './features/login/login.endpoints.ts';
import { makeLogin } from './features/login/login.ts';
import { logoutEndpoints } from './features/logout/logout.endpoints.ts';
import { makeEndSession } from './features/logout/logout.ts';
import { grantTypes, oauthEndpoints } from './features/oauth/oauth.endpoints.ts';
import { openApiEndpoints } from './features/openapi/openapi.endpoints.ts';
import { passwordResetEndpoints } from './features/password-reset/password-reset.endpoints.ts';
import { makeResetPassword } from './features/password-reset/reset-password.ts';
import { problemPageEndpoints } from './features/problem-pages/problem-pages.endpoints.ts';
import { refreshEndpoints } from './features/refresh/refresh.endpoints.ts';
import { makeFindRotatableSession } from './features/refresh/find-rotatable-session.ts';
import { makeRefresh } from './features/refresh/refresh.ts';
import { roleEndpoints } from './features/roles/roles.endpoints.ts';
import { sessionEndpoints } from './features/sessions/sessions.endpoints.ts';
import { signUpEndpoints } from './features/sign-up/sign-up.endpoints.ts';
import { signingKeyEndpoints } from './features/signing-keys/signing-keys.endpoints.ts';
import { userEndpoints } from './features/users/users.endpoints.ts';
import type { Endpoint } from './http/endpoint.ts';
import { makeOpenApi } from './http/openapi/document.ts';
import { makeExpress } from './http/server/server.ts';

/** Every endpoint of the service, by feature. `describe` returns the OpenAPI document of this list. */
function makeEndpoints(container: Container, describe: () => Record<string, unknown>): readonly Endpoint[] {
  const { config, clock, db, metrics, audit, authorize, authorizeRead, keyring, readiness } = container;
  const { hasher, passwordPolicy, checkPassword, confirmPassword, hashNewPassword, liftLockout } = container;
  const { apiKeySecrets, findApiKey, oneTimeTokens, outbox, ratchet, createSession, tokenTransport } = container;
  const { tokens, signAccessToken, readAccessToken, verifyAccessToken } = container;
  const { issuer, baseUrl, appUrl, emailVerification, accessTtlSeconds, passwordMinLength, jwksMaxAgeSeconds } = config;
  const {
    refreshTtlSeconds,
    refreshGracePeriodSeconds,
    registrationOpen,
    passwordGrant: passwordGrantEnabled,
  } = config;

  // The use cases of more than one feature.
  const login = makeLogin({ db, audit, hasher, checkPassword, createSession, tokens, metrics, emailVerification });
  const requiresVerifiedEmail = emailVerification === 'required';
  const refreshOptions = { refreshGracePeriodSeconds, requiresVerifiedEmail };
  const rotateSession = makeRotateSession({
    db,
    times: { refreshTtlSeconds, refreshGracePeriodSeconds },
    timeoutSeconds: config.database.timeoutSeconds,
  });
  const refresh = makeRefresh({ db, audit, tokens, metrics, rotateSession, ...refreshOptions });
  const findRotatableSession = makeFindRotatableSession({ db, ...refreshOptions });
  const endSession = makeEndSession({ db, audit });
  const confirmEmailChange = makeConfirmEmailChange({ outbox, oneTimeTokens, audit });
  const verifyEmail = makeVerifyEmail({ oneTimeTokens, audit, confirmEmailChange });
  const undoEmailChange = makeUndoEmailChange({ oneTimeTokens, outbox, audit });
  const resetPassword = makeResetPassword({ oneTimeTokens, hashNewPassword, liftLockout, outbox, audit });

  const endpoints: readonly Endpoint[] = [
    ...signUpEndpoints({
      db,
      audit,
      outbox,
      hashNewPassword,
      createSession,
      tokens,
      clock,
      registrationOpen,
      emailVerification,
      passwordPolicy,
      tokenTransport,
    }),
    ...loginEndpoints({ login, tokenTransport }),
    ...refreshEndpoints({ refresh, tokenTransport }),
    ...logoutEndpoints({ db, audit, authorize, tokenTransport }),
    ...csrfEndpoints({ tokenTransport }),
    ...accountEndpoints({ db, authorize, audit, outbox, confirmPassword, hashNewPassword, passwordPolicy }),
    ...emailVerificationEndpoints({ db, outbox, verifyEmail }),
    ...passwordResetEndpoints({ db, outbox, passwordPolicy, resetPassword }),
    ...emailChangeEndpoints({ db, authorize, audit, outbox, oneTimeTokens, confirmPassword, undoEmailChange }),
    // An app with its own pages has its own APP_URL.
    ...(appUrl === baseUrl
      ? linkPageEndpoints({ baseUrl, passwordMinLength, verifyEmail, resetPassword, undoEmailChange })
      : []),
    ...sessionEndpoints({ db, authorize, authorizeRead, audit }),
    ...apiKeyEndpoints({ db, authorize, authorizeRead, audit, apiKeySecrets, clock }),
    ...auditEndpoints({ db, authorizeRead }),
    ...userEndpoints({ db, authorize, authorizeRead, audit, liftLockout, outbox }),
    ...roleEndpoints({ db, authorize, authorizeRead, audit }),
    ...signingKeyEndpoints({ db, authorize, authorizeRead, audit }),
    ...oauthEndpoints({
      db,
      audit,
      ratchet,
      findApiKey,
      apiKeySecrets,
      signAccessToken,
      readAccessToken,
      accessTtlSeconds,
      fitGrants: container.fitGrants,
      authentication: { verify: verifyAccessToken, findApiKey },
      login,
      refresh,
      findRotatableSession,
      requiresVerifiedEmail,
      endSession,
      passwordGrantEnabled,
    }),
    ...discoveryEndpoints({
      issuer,
      baseUrl,
      keyring,
      jwksMaxAgeSeconds,
      scopes: Object.keys(ownScopes),
      grantTypes: grantTypes(passwordGrantEnabled),
    }),
    ...healthEndpoints({
      readiness,
      databaseIsUp: container.databaseMonitor.isUp,
      redisIsUp: container.redisIsUp,
    }),
    ...openApiEndpoints(describe),
    ...docsEndpoints,
    ...problemPageEndpoints(baseUrl, () => endpoints),
  ];
  return endpoints;
}

export interface AppDeps extends ContainerDeps {
  /** For tests: checks every response against its declaration. */
  checkResponses?: boolean;
}

/** The Express app, its OpenAPI document and the container behind both. */
export function makeApp({ checkResponses = false, ...deps }: AppDeps) {
  const container = makeContainer(deps);
  const {
    config,
    metrics,
    allowedOrigins,
    verifyAccessToken: verify,
    findApiKey,
    rateLimiter,
    recordDeniedRequest,
  } = container;
  const { baseUrl, trustProxy, corsAllowedHeaders } = config;
  const passwordFlow = config.passwordGrant ? { tokenUrl: `${baseUrl}/token`, scopes: ownScopes } : undefined;
  const openApi = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl, passwordFlow });
  const endpoints = makeEndpoints(container, openApi);
  const express = makeExpress(endpoints, {
    log: container.log,
    baseUrl,
    trustProxy,
    cors: { allowedOrigins, ownOrigin: new URL(baseUrl).origin, moreHeaders: corsAllowedHeaders },
    metrics,
    verify,
    findApiKey,
    rateLimiter,
    checkResponses,
    onDenied: recordDeniedRequest,
  });
  return { express, openApi, container };
}
