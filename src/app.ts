import { apiInfo } from './api-info.ts';
import type { Config } from './config.ts';
import { makeKeyring } from './core/keys/keyring.ts';
import { deriveMasterKeys } from './core/keys/master-keys.ts';
import { grantScopes, ownScopes } from './core/scopes/scopes.ts';
import { makeNewSession } from './core/sessions/new-session.ts';
import { makeRatchet } from './core/sessions/ratchet.ts';
import { makeSignAccessToken, makeVerifyAccessToken } from './core/tokens/access-token.ts';
import { makeTokens } from './core/tokens/tokens.ts';
import { makeHashNewPassword } from './core/users/hash-new-password.ts';
import { makePasswordPolicy } from './core/users/password-policy.ts';
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
import { makeBreachLookup } from './platform/breached-passwords.ts';
import { makeHasher } from './platform/hasher.ts';
import type { Logger } from './platform/log.ts';
import { answers, type Database } from './platform/postgres.ts';

export interface AppDeps {
  config: Config;
  db: Database;
  log: Logger;
  clock: Clock;
  /** Common passwords, folded. */
  blocklist: ReadonlySet<string>;
  /** In tests: every answer is held to its declaration. */
  checkReplies?: boolean;
}

/** What features are made of: the settings, the outside world, and the nouns that several of them need. */
function makeParts({ config, db, log, clock, blocklist }: AppDeps) {
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const keyring = makeKeyring({ db, masterKeys, alg: config.jwtAlg });
  const readiness: Readiness = { migrated: false, keysLoaded: keyring.isLoaded, draining: false };
  const hasher = makeHasher(config.hashing);
  const breached = config.hibpUrl === undefined ? undefined : makeBreachLookup(config.hibpUrl, log);
  const passwordPolicy = makePasswordPolicy({ minLength: config.passwordMinLength, blocklist, breached });
  const ratchet = makeRatchet(masterKeys);
  const accessTokens = { ...config, keyring, clock };
  return {
    ...config,
    db,
    clock,
    keyring,
    readiness,
    hasher,
    passwordPolicy,
    ratchet,
    grantScopes,
    databaseAnswers: () => answers(db),
    scopes: Object.keys(ownScopes),
    newSession: makeNewSession({ ...config, ratchet, clock }),
    hashNewPassword: makeHashNewPassword({ policy: passwordPolicy, hasher }),
    tokens: makeTokens({ ...config, keyring, sign: makeSignAccessToken(accessTokens), grantScopes }),
    verifyAccessToken: makeVerifyAccessToken(accessTokens),
  };
}

/** The map of the service: every feature, introduced in one list. */
export function makeApp(deps: AppDeps) {
  const parts = makeParts(deps);
  const { baseUrl, trustProxy, keyring, readiness, verifyAccessToken: verify } = parts;
  const { log, checkReplies = false } = deps;

  const endpoints: readonly Endpoint[] = [
    ...signUp(parts),
    ...passwordLogin(parts),
    ...refresh(parts),
    ...logout(parts),
    ...myAccount(parts),
    ...mySessions(parts),
    ...discovery(parts),
    ...health(parts),
    ...openApi(() => document()),
    problem(baseUrl, () => [...endpoints.flatMap(refusalsOf), MethodNotAllowed].map(({ kind }) => kind)),
  ];

  const document = () => makeOpenApi(endpoints, { ...apiInfo, serverUrl: baseUrl });
  const express = makeExpress(endpoints, { log, baseUrl, trustProxy, verify, checkReplies });
  return { express, openApi: document, keyring, readiness };
}
