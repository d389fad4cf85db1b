import { apiInfo } from './api-info.ts';
import { adminKeys } from './features/admin-keys/admin-keys.feature.ts';
import { adminRoles } from './features/admin-roles/admin-roles.feature.ts';
import { adminUsers } from './features/admin-users/admin-users.feature.ts';
import { apiKeys } from './features/api-keys/api-keys.feature.ts';
import { auditLog } from './features/audit-log/audit-log.feature.ts';
import { csrf } from './features/csrf/csrf.route.ts';
import { discovery } from './features/discovery/discovery.route.ts';
import { docs } from './features/docs/docs.route.ts';
import { emailChange } from './features/email-change/email-change.feature.ts';
import { emailVerification } from './features/email-verification/email-verification.feature.ts';
import { health } from './features/health/health.route.ts';
import { linkPages } from './features/link-pages/link-pages.route.ts';
import { logout } from './features/logout/logout.feature.ts';
import { myAccount } from './features/my-account/my-account.feature.ts';
import { mySessions } from './features/my-sessions/my-sessions.feature.ts';
import { oauth } from './features/oauth/oauth.feature.ts';
import { openApi } from './features/openapi/openapi.route.ts';
import { passwordLogin } from './features/password-login/password-login.feature.ts';
import { passwordReset } from './features/password-reset/password-reset.feature.ts';
import { problem } from './features/problems/problems.route.ts';
import { refresh } from './features/refresh/refresh.feature.ts';
import { signUp } from './features/sign-up/sign-up.feature.ts';
import { type Endpoint, refusalsOf } from './http/endpoint.ts';
import { makeOpenApi } from './http/openapi.ts';
import { MethodNotAllowed } from './http/refusals.ts';
import { makeExpress } from './http/server.ts';
import { type AppDeps, makeParts } from './parts.ts';

/** The map of the service: every feature, introduced in one list. */
export function makeApp(deps: AppDeps) {
  const parts = makeParts(deps);
  const { keyring, keyTending, postman, readiness, metrics, baseUrl, verifyAccessToken: verify } = parts;
  const { log, checkReplies = false } = deps;
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
    ...mySessions(parts),
    ...apiKeys(parts),
    ...auditLog(parts),
    ...adminUsers(parts),
    ...adminRoles(parts),
    ...adminKeys(parts),
    ...clients.endpoints,
    ...discovery({ ...parts, ...clients }),
    ...health(parts),
    ...openApi(() => document()),
    ...docs,
    problem(baseUrl, () => [...endpoints.flatMap(refusalsOf), MethodNotAllowed].map(({ kind }) => kind)),
  ];

  const { passwordFlow } = clients;
  const document = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl, passwordFlow });
  const express = makeExpress(endpoints, { ...parts, log, verify, checkReplies });
  metrics.watch({ ...parts, pool: deps.outside.pool });
  return { express, openApi: document, keyring, keyTending, postman, readiness, recordSettings: parts.recordSettings };
}
