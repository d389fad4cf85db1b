import { apiInfo } from './api-info.ts';
import { signingKeyEndpoints } from './features/signing-keys/signing-keys.endpoints.ts';
import { roleEndpoints } from './features/roles/roles.endpoints.ts';
import { userEndpoints } from './features/users/users.endpoints.ts';
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
import { linkPageEndpoints } from './features/link-pages/link-pages.endpoints.ts';
import { healthEndpoints } from './features/health/health.endpoints.ts';
import { logoutEndpoints } from './features/logout/logout.endpoints.ts';
import { makeEndSession } from './features/logout/logout.ts';
import { accountEndpoints } from './features/account/account.endpoints.ts';
import { sessionEndpoints } from './features/sessions/sessions.endpoints.ts';
import { grantTypes, oauthEndpoints } from './features/oauth/oauth.endpoints.ts';
import { openApiEndpoints } from './features/openapi/openapi.endpoints.ts';
import { loginEndpoints } from './features/login/login.endpoints.ts';
import { makeLogin } from './features/login/login.ts';
import { passwordResetEndpoints } from './features/password-reset/password-reset.endpoints.ts';
import { makeResetPassword } from './features/password-reset/reset-password.ts';
import { problemPageEndpoints } from './features/problem-pages/problem-pages.endpoints.ts';
import { refreshEndpoints } from './features/refresh/refresh.endpoints.ts';
import { makeFindRotatableSession, makeRefresh } from './features/refresh/refresh.ts';
import { signUpEndpoints } from './features/sign-up/sign-up.endpoints.ts';
import { type Endpoint, errorsOf } from './http/endpoint.ts';
import { makeOpenApi } from './http/openapi/document.ts';
import { MethodNotAllowed } from './http/errors.ts';
import { makeExpress } from './http/server/server.ts';
import { type AppDeps, makeContainer } from './container.ts';

/** The map of the service: every feature, introduced in one list. */
export function makeApp(deps: AppDeps) {
  const parts = makeContainer(deps);
  const { keyring, signingKeyWorker, emailWorker, readiness, metrics, baseUrl, verifyAccessToken: verify } = parts;
  const { log, checkResponses = false } = deps;
  const confirmEmailChange = makeConfirmEmailChange(parts);
  const verifyEmail = makeVerifyEmail({ ...parts, confirmEmailChange });
  const undoEmailChange = makeUndoEmailChange(parts);
  const resetPassword = makeResetPassword(parts);
  const login = makeLogin(parts);
  const refresh = makeRefresh(parts);
  const findRotatableSession = makeFindRotatableSession(parts);
  const endSession = makeEndSession(parts);
  const passwordGrantEnabled = parts.passwordGrant;
  const authentication = { verify, findApiKey: parts.findApiKey };
  const sessions = { login, refresh, findRotatableSession, endSession };
  const clients = oauthEndpoints({ ...parts, ...sessions, authentication, passwordGrantEnabled });

  const endpoints: readonly Endpoint[] = [
    ...signUpEndpoints(parts),
    ...loginEndpoints({ ...parts, login }),
    ...refreshEndpoints({ ...parts, refresh }),
    ...logoutEndpoints(parts),
    ...csrfEndpoints(parts),
    ...accountEndpoints(parts),
    ...emailVerificationEndpoints({ ...parts, verifyEmail }),
    ...passwordResetEndpoints({ ...parts, resetPassword }),
    ...emailChangeEndpoints({ ...parts, undoEmailChange }),
    // An app that shows pages of its own has its own APP_URL.
    ...(parts.appUrl === baseUrl ? linkPageEndpoints({ ...parts, verifyEmail, resetPassword, undoEmailChange }) : []),
    ...sessionEndpoints(parts),
    ...apiKeyEndpoints(parts),
    ...auditEndpoints(parts),
    ...userEndpoints(parts),
    ...roleEndpoints(parts),
    ...signingKeyEndpoints(parts),
    ...clients,
    ...discoveryEndpoints({ ...parts, grantTypes: grantTypes(passwordGrantEnabled) }),
    ...healthEndpoints(parts),
    ...openApiEndpoints(() => document()),
    ...docsEndpoints,
    ...problemPageEndpoints(baseUrl, () =>
      [...endpoints.flatMap(errorsOf), MethodNotAllowed].map(({ definition }) => definition),
    ),
  ];

  const passwordFlow = passwordGrantEnabled
    ? { tokenUrl: `${baseUrl}/token`, scopes: parts.describedScopes }
    : undefined;
  const document = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl, passwordFlow });
  const express = makeExpress(endpoints, { ...parts, log, verify, checkResponses });
  metrics.watch({ ...parts, pool: deps.infrastructure.pool });
  return {
    express,
    openApi: document,
    keyring,
    signingKeyWorker,
    emailWorker,
    readiness,
    audit: parts.audit,
    recordConfigChanges: parts.recordConfigChanges,
  };
}
