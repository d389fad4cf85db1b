import { apiInfo } from './api-info.ts';
import { adminKeys } from './features/signing-keys/signing-keys.feature.ts';
import { roleEndpoints } from './features/roles/roles.endpoints.ts';
import { userEndpoints } from './features/users/users.endpoints.ts';
import { apiKeyEndpoints } from './features/api-keys/api-keys.endpoints.ts';
import { auditEndpoints } from './features/audit/audit.endpoints.ts';
import { csrf } from './features/csrf/csrf.endpoints.ts';
import { discovery } from './features/discovery/discovery.endpoints.ts';
import { docs } from './features/docs/docs.endpoints.ts';
import { emailChange } from './features/email-change/email-change.feature.ts';
import { emailVerification } from './features/email-verification/email-verification.feature.ts';
import { health } from './features/health/health.endpoints.ts';
import { linkPages } from './features/link-pages/link-pages.endpoints.ts';
import { logout } from './features/logout/logout.feature.ts';
import { myAccount } from './features/account/account.feature.ts';
import { sessionEndpoints } from './features/sessions/sessions.endpoints.ts';
import { oauth } from './features/oauth/oauth.feature.ts';
import { openApi } from './features/openapi/openapi.endpoints.ts';
import { passwordLogin } from './features/login/login.feature.ts';
import { passwordReset } from './features/password-reset/password-reset.feature.ts';
import { problem } from './features/problem-pages/problem-pages.endpoints.ts';
import { refresh } from './features/refresh/refresh.feature.ts';
import { signUp } from './features/sign-up/sign-up.feature.ts';
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
  const change = emailChange(parts);
  const verification = emailVerification({ ...parts, ...change });
  const reset = passwordReset(parts);
  const login = passwordLogin(parts);
  const turning = refresh(parts);
  const leaving = logout(parts);
  const clients = oauth({ ...parts, ...login, ...turning, ...leaving });
  parts.answerAsks({ ...verification.answers, ...reset.answers });

  const endpoints: readonly Endpoint[] = [
    ...signUp(parts),
    ...login.endpoints,
    ...turning.endpoints,
    ...leaving.endpoints,
    ...csrf(parts),
    ...myAccount(parts),
    ...verification.endpoints,
    ...reset.endpoints,
    ...change.endpoints,
    // An app that shows pages of its own has its own APP_URL.
    ...(parts.appUrl === baseUrl ? linkPages({ ...parts, ...verification, ...reset, ...change }) : []),
    ...sessionEndpoints(parts),
    ...apiKeyEndpoints(parts),
    ...auditEndpoints(parts),
    ...userEndpoints(parts),
    ...roleEndpoints(parts),
    ...adminKeys(parts),
    ...clients.endpoints,
    ...discovery({ ...parts, ...clients }),
    ...health(parts),
    ...openApi(() => document()),
    ...docs,
    problem(baseUrl, () => [...endpoints.flatMap(errorsOf), MethodNotAllowed].map(({ definition }) => definition)),
  ];

  const { passwordFlow } = clients;
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
