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
import { discovery } from './features/discovery/discovery.route.ts';
import { health } from './features/health/health.route.ts';
import type { Readiness } from './features/health/readiness.ts';
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

/** What features are made of: the settings, the outside world, and the nouns that several of them need. */
function furnish(deps: AppDeps) {
  const { config, keyring, hasher, clock } = deps;
  const accessTokens = { ...config, keyring, clock };
  const ratchet = makeRatchet(deps.masterKeys);
  return {
    ...config,
    ...deps,
    scopes: Object.keys(ownScopes),
    grantScopes,
    ratchet,
    newSession: makeNewSession({ ...config, ratchet, clock }),
    newPassword: makeNewPassword({ policy: deps.passwordPolicy, hasher }),
    tokens: makeTokens({ ...config, keyring, sign: makeSignAccessToken(accessTokens), grantScopes }),
    verifyAccessToken: makeVerifyAccessToken(accessTokens),
  };
}

/** The map of the service: every feature, introduced in one list. */
export function makeApp(deps: AppDeps) {
  const house = furnish(deps);
  const baseUrl = house.issuer.replace(/\/$/, '');

  const endpoints: readonly Endpoint[] = [
    ...signUp(house),
    ...passwordLogin(house),
    ...refresh(house),
    ...logout(house),
    ...myAccount(house),
    ...mySessions(house),
    ...discovery(house),
    ...health(house),
    ...openApi(() => document()),
    problem(baseUrl, () => [...endpoints.flatMap(refusalsOf), MethodNotAllowed].map(({ kind }) => kind)),
  ];

  const document = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl });
  const { log, trustProxy, verifyAccessToken: verify, checkReplies = false } = house;
  return { openApi: document, express: makeExpress(endpoints, { log, baseUrl, trustProxy, verify, checkReplies }) };
}
