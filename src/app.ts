import { apiInfo } from './api-info.ts';
import { adminKeys } from './features/signing-keys/signing-keys.feature.ts';
import { roleEndpoints } from './features/roles/roles.endpoints.ts';
import { adminUsers } from './features/users/users.feature.ts';
import { apiKeys } from './features/api-keys/api-keys.feature.ts';
import { auditLog } from './features/audit/audit.feature.ts';
import { csrfEndpoints } from './features/csrf/csrf.endpoints.ts';
import { discovery } from './features/discovery/discovery.endpoints.ts';
import { docs } from './features/docs/docs.endpoints.ts';
import { emailChange } from './features/email-change/email-change.feature.ts';
import { emailVerification } from './features/email-verification/email-verification.feature.ts';
import { health } from './features/health/health.endpoints.ts';
import { linkPages } from './features/link-pages/link-pages.endpoints.ts';
import { logoutEndpoints } from './features/logout/logout.endpoints.ts';
import { makeEndSession } from './features/logout/logout.ts';
import { myAccount } from './features/account/account.feature.ts';
import { mySessions } from './features/sessions/sessions.feature.ts';
import { oauth } from './features/oauth/oauth.feature.ts';
import { openApi } from './features/openapi/openapi.endpoints.ts';
import { loginEndpoints } from './features/login/login.endpoints.ts';
import { makeLogin } from './features/login/login.ts';
import { passwordReset } from './features/password-reset/password-reset.feature.ts';
import { problem } from './features/problem-pages/problem-pages.endpoints.ts';
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
  const change = emailChange(parts);
  const verification = emailVerification({ ...parts, ...change });
  const reset = passwordReset(parts);
  const login = makeLogin(parts);
  const refresh = makeRefresh(parts);
  const findRotatableSession = makeFindRotatableSession(parts);
  const endSession = makeEndSession(parts);
  const clients = oauth({ ...parts, login, refresh, findRotatableSession, endSession });
  parts.answerAsks({ ...verification.answers, ...reset.answers });

  const endpoints: readonly Endpoint[] = [
    ...signUpEndpoints(parts),
    ...loginEndpoints({ ...parts, login }),
    ...refreshEndpoints({ ...parts, refresh }),
    ...logoutEndpoints(parts),
    ...csrfEndpoints(parts),
    ...myAccount(parts),
    ...verification.endpoints,
    ...reset.endpoints,
    ...change.endpoints,
    // An app that shows pages of its own has its own APP_URL.
    ...(parts.appUrl === baseUrl ? linkPages({ ...parts, ...verification, ...reset, ...change }) : []),
    ...mySessions(parts),
    ...apiKeys(parts),
    ...auditLog(parts),
    ...adminUsers(parts),
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
    recordSettings: parts.recordSettings,
  };
}
