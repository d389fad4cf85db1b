import { apiInfo } from './api-info.ts';
import type { Config } from './config.ts';
import type { Keyring } from './core/keys/keyring.ts';
import type { MasterKeys } from './core/keys/master-keys.ts';
import { grantScopes, ownScopes } from './core/scopes/scopes.ts';
import { makeNewSession } from './core/sessions/new-session.ts';
import { makeRatchet } from './core/sessions/ratchet.ts';
import { makeSignAccessToken, makeVerifyAccessToken } from './core/tokens/access-token.ts';
import { makeTokens } from './core/tokens/tokens.ts';
import { makeNewPassword } from './core/users/new-password.ts';
import type { PasswordPolicy } from './core/users/password-policy.ts';
import { discoveryRoutes } from './features/discovery/discovery.route.ts';
import { healthRoutes } from './features/health/health.route.ts';
import { makeReadyz, type Readiness } from './features/health/readiness.ts';
import { makeLogout, makeLogoutAll } from './features/logout/logout.ts';
import { logoutAllRoute, logoutRoute } from './features/logout/logout.route.ts';
import { makeLogoutStore } from './features/logout/logout.store.ts';
import { makeMyAccount } from './features/my-account/my-account.ts';
import { myAccountRoutes } from './features/my-account/my-account.route.ts';
import { makeMyAccountStore } from './features/my-account/my-account.store.ts';
import { makeEndMySession, makeListMySessions } from './features/my-sessions/my-sessions.ts';
import { endMySessionRoute, listMySessionsRoute } from './features/my-sessions/my-sessions.route.ts';
import { makeMySessionsStore } from './features/my-sessions/my-sessions.store.ts';
import { openApiRoutes } from './features/openapi/openapi.route.ts';
import { makePasswordLogin } from './features/password-login/password-login.ts';
import { passwordLoginRoute } from './features/password-login/password-login.route.ts';
import { makePasswordLoginStore } from './features/password-login/password-login.store.ts';
import { problemsRoute } from './features/problems/problems.route.ts';
import { makeRefresh } from './features/refresh/refresh.ts';
import { refreshRoute } from './features/refresh/refresh.route.ts';
import { makeRefreshStore } from './features/refresh/refresh.store.ts';
import { makeSignUp } from './features/sign-up/sign-up.ts';
import { signUpRoute } from './features/sign-up/sign-up.route.ts';
import { makeSignUpStore } from './features/sign-up/sign-up.store.ts';
import { type Endpoint, refusalsOf } from './http/endpoint.ts';
import { makeOpenApi } from './http/openapi.ts';
import { MethodNotAllowed } from './http/refusals.ts';
import { makeExpress } from './http/server.ts';
import type { Clock } from './kernel/clock.ts';
import type { Hasher } from './platform/hasher.ts';
import type { Logger } from './platform/log.ts';
import type { Database } from './platform/postgres.ts';

export interface AppDeps {
  config: Config;
  db: Database;
  masterKeys: MasterKeys;
  keyring: Keyring;
  hasher: Hasher;
  passwordPolicy: PasswordPolicy;
  readiness: Readiness;
  databaseAnswers: () => Promise<boolean>;
  clock: Clock;
  log: Logger;
  /** In tests: every answer is held to its declaration. */
  checkReplies?: boolean;
}

/** The map of the service: what it is made of, and every endpoint in one list. */
export function makeApp(deps: AppDeps) {
  const { config, db, keyring, hasher, clock } = deps;
  const { issuer, audience, accessTtlSeconds, refreshTtlSeconds, sessionTtlSeconds } = config;
  const baseUrl = issuer.replace(/\/$/, '');

  const accessTokens = { keyring, clock, issuer, audience, ttlSeconds: accessTtlSeconds };
  const verifyAccessToken = makeVerifyAccessToken(accessTokens);
  const tokens = makeTokens({ sign: makeSignAccessToken(accessTokens), grantScopes, accessTtlSeconds });
  const ratchet = makeRatchet(deps.masterKeys);
  const newSession = makeNewSession({ ratchet, clock, refreshTtlSeconds, sessionTtlSeconds });
  const newPassword = makeNewPassword({ policy: deps.passwordPolicy, hasher });

  const signUpStore = makeSignUpStore(db);
  const loginStore = makePasswordLoginStore(db);
  const refreshStore = makeRefreshStore(db, { refreshTtlSeconds, leewaySeconds: config.refreshLeewaySeconds });
  const logoutStore = makeLogoutStore(db);
  const mySessionsStore = makeMySessionsStore(db);
  const { registrationOpen } = config;

  const endpoints: readonly Endpoint[] = [
    signUpRoute(makeSignUp({ store: signUpStore, newPassword, newSession, tokens, clock, registrationOpen })),
    passwordLoginRoute(
      makePasswordLogin({ store: loginStore, hasher, newSession, tokens, grantScopes, verifyAccessToken }),
    ),
    refreshRoute(makeRefresh({ ratchet, store: refreshStore, tokens })),
    logoutRoute(makeLogout({ ratchet, store: logoutStore })),
    logoutAllRoute(makeLogoutAll({ store: logoutStore })),
    ...myAccountRoutes(makeMyAccount({ store: makeMyAccountStore(db), hasher, newPassword })),
    listMySessionsRoute(makeListMySessions({ store: mySessionsStore })),
    endMySessionRoute(makeEndMySession({ store: mySessionsStore })),
    ...discoveryRoutes({
      issuer,
      alg: config.jwtAlg,
      scopes: Object.keys(ownScopes),
      jwksMaxAgeSeconds: config.jwksMaxAgeSeconds,
      publishedKeys: keyring.published,
    }),
    ...healthRoutes(makeReadyz(deps)),
    ...openApiRoutes(() => openApi()),
    problemsRoute(baseUrl, () => [...endpoints.flatMap(refusalsOf), MethodNotAllowed].map(({ kind }) => kind)),
  ];

  const openApi = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl });
  const express = makeExpress(endpoints, {
    log: deps.log,
    baseUrl,
    trustProxy: config.trustProxy,
    verify: verifyAccessToken,
    checkReplies: deps.checkReplies ?? false,
  });
  return { endpoints, openApi, express };
}
