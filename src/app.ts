import { apiInfo } from './api-info.ts';
import { csrf } from './features/csrf/csrf.route.ts';
import { discovery } from './features/discovery/discovery.route.ts';
import { docs } from './features/docs/docs.route.ts';
import { health } from './features/health/health.route.ts';
import { logout } from './features/logout/logout.feature.ts';
import { myAccount } from './features/my-account/my-account.feature.ts';
import { mySessions } from './features/my-sessions/my-sessions.feature.ts';
import { openApi } from './features/openapi/openapi.route.ts';
import { passwordLogin } from './features/password-login/password-login.feature.ts';
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
  const { keyring, keyTending, readiness, metrics, baseUrl, verifyAccessToken: verify } = parts;
  const { log, checkReplies = false } = deps;

  const endpoints: readonly Endpoint[] = [
    ...signUp(parts),
    ...passwordLogin(parts),
    ...refresh(parts),
    ...logout(parts),
    ...csrf(parts),
    ...myAccount(parts),
    ...mySessions(parts),
    ...discovery(parts),
    ...health(parts),
    ...openApi(() => document()),
    ...docs,
    problem(baseUrl, () => [...endpoints.flatMap(refusalsOf), MethodNotAllowed].map(({ kind }) => kind)),
  ];

  const document = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl });
  const express = makeExpress(endpoints, { ...parts, log, verify, checkReplies });
  metrics.watch({ ...parts, pool: deps.outside.pool });
  return { express, openApi: document, keyring, keyTending, readiness };
}
