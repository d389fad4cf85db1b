import { makeAudit } from './core/audit/audit.ts';
import { makeAuthorization } from './core/authorization/authorize.ts';
import type { Config } from './config.ts';
import { makeApiKeySecrets, makeFindApiKey } from './core/api-keys/api-keys.ts';
import { makeRecordConfigChanges } from './core/audit/config-changes.ts';
import { makeRecordDeniedRequest } from './core/audit/denied-requests.ts';
import { makeKeyring } from './core/signing-keys/keyring.ts';
import { deriveMasterKeys } from './lib/master-keys.ts';
import { keyTimingOf } from './core/signing-keys/key-timing.ts';
import { signingKeysChannel } from './core/signing-keys/signing-keys.sql.ts';
import { makeSigningKeyWorker } from './core/signing-keys/signing-key-worker.ts';
import { makeEmailCipher } from './core/email/email-cipher.ts';
import { makeOutbox } from './core/email/outbox.ts';
import { makeResolveEmailRequest } from './core/email/resolve-email-request.ts';
import { makeOneTimeTokens } from './core/one-time-tokens/one-time-tokens.ts';
import { grantScopes, ownScopes } from './core/authorization/scopes.ts';
import { makeEmailWorker } from './core/email/email-worker.ts';
import { makeCreateSession } from './core/sessions/create-session.ts';
import { makeRatchet } from './core/sessions/refresh-token.ts';
import { makeConfirmPassword } from './core/users/confirm-password.ts';
import { makeTokenTransport } from './http/token-transport.ts';
import { makeReadAccessToken, makeVerifyAccessToken } from './core/tokens/access-token.ts';
import { makeSignAccessToken } from './core/tokens/sign-access-token.ts';
import { makeTokens } from './core/tokens/issue-tokens.ts';
import { makeCheckPassword, makeLiftLockout } from './core/users/check-password.ts';
import { makeHashNewPassword } from './core/users/new-password.ts';
import { makePasswordPolicy } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { makeMemoryCounters, makeSharedCounters } from './http/rate-limits/counters.ts';
import { makeRateLimiter } from './http/rate-limits/rate-limit.ts';
import type { Clock } from './lib/clock.ts';
import { makeBreachLookup } from './platform/breached-passwords.ts';
import { makeHasher } from './platform/password-hashing/password-hasher.ts';
import type { Logger } from './platform/log.ts';
import { isResponding } from './platform/postgres.ts';
import { openListener } from './platform/postgres/listener.ts';
import type { Infrastructure } from './infrastructure.ts';

export interface AppDeps {
  config: Config;
  infrastructure: Infrastructure;
  log: Logger;
  clock: Clock;
  /** Common passwords, folded. */
  blocklist: ReadonlySet<string>;
  /** In tests: every answer is held to its declaration. */
  checkResponses?: boolean;
}

/** What features are made of: the settings, the outside world, and the nouns that several of them need. */
export function makeContainer({ config, infrastructure, log, clock, blocklist }: AppDeps) {
  const { db, metrics, redis } = infrastructure;
  const authorization = makeAuthorization({ clock });
  const audit = makeAudit({ clock });
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const recordConfigChanges = makeRecordConfigChanges({ db, audit, keys: masterKeys });
  const timing = keyTimingOf(config);
  const keyring = makeKeyring({ db, audit, masterKeys, alg: config.jwtAlg, timing, log });
  const signingKeyWorker = makeSigningKeyWorker({
    maintain: keyring.maintain,
    pollSeconds: timing.pollSeconds,
    listen: (onNotification) =>
      openListener({ url: config.database.directUrl, channel: signingKeysChannel, onNotification, log }),
    runner: { log, countRun: metrics.jobRan },
  });
  const readiness: Readiness = { migrated: false, keysLoaded: keyring.isLoaded, draining: false };
  const hasher = makeHasher(config.hashing, metrics.waitedForHash);
  const breached = config.hibpUrl === undefined ? undefined : makeBreachLookup(config.hibpUrl, log);
  const passwordPolicy = makePasswordPolicy({ minLength: config.passwordMinLength, blocklist, breached });
  const ratchet = makeRatchet(masterKeys);
  const accessTokens = { ...config, keyring, clock };
  const verifying = { ...accessTokens, onUnknownKey: signingKeyWorker.reloadSoon };
  const signAccessToken = makeSignAccessToken(accessTokens);
  const apiKeySecrets = makeApiKeySecrets(masterKeys);
  const emailCipher = makeEmailCipher(masterKeys);
  const outbox = makeOutbox({
    emailCipher,
    recipientKey: masterKeys[0].recipient,
    clock,
    isEnabled: infrastructure.mailer !== undefined,
    onEnqueued: () => emailWorker.wake(),
  });
  const oneTimeTokens = makeOneTimeTokens(db, masterKeys, clock);
  const emailWorker = makeEmailWorker({
    db,
    mailer: infrastructure.mailer,
    emailCipher,
    resolveEmailRequest: makeResolveEmailRequest({ outbox, oneTimeTokens, audit }),
    appUrl: config.appUrl,
    log,
    metrics,
  });
  const checkPassword = makeCheckPassword({
    db,
    audit,
    limits: config.lockout,
    lockoutKey: masterKeys[0].lockout,
    metrics,
  });
  return {
    ...config,
    db,
    audit,
    ...authorization,
    metrics,
    clock,
    keyring,
    signingKeyWorker,
    emailWorker,
    readiness,
    hasher,
    passwordPolicy,
    ratchet,
    grantScopes,
    databaseAnswers: () => isResponding(db),
    redisIsUp: redis?.isUp,
    hashQueue: hasher.queue,
    activeKey() {
      const since = keyring.activeSince();
      const ageSeconds = since && Math.max(0, (clock.nowMs() - since.getTime()) / 1000);
      return ageSeconds === undefined ? undefined : { kid: keyring.active().kid, ageSeconds };
    },
    checkPassword,
    confirmPassword: makeConfirmPassword({ db, hasher, checkPassword }),
    liftLockout: makeLiftLockout(masterKeys[0].lockout),
    apiKeySecrets,
    findApiKey: makeFindApiKey(db, apiKeySecrets),
    oneTimeTokens,
    outbox,
    rateLimiter: makeRateLimiter({
      rateLimits: config.rateLimits,
      openCounters: (name, windowSeconds) =>
        redis ? makeSharedCounters(redis, `keyturn:limit:${name}:`, windowSeconds) : makeMemoryCounters(windowSeconds),
      onLimited: metrics.limited,
    }),
    tokenTransport: makeTokenTransport({ ...config, ratchet, masterKeys }),
    recordConfigChanges: () => recordConfigChanges(config.auditedSettings),
    onDenied: makeRecordDeniedRequest({ db, audit, log }),
    scopes: Object.keys(ownScopes),
    describedScopes: ownScopes,
    createSession: makeCreateSession({ ...config, ratchet, clock }),
    hashNewPassword: makeHashNewPassword({ policy: passwordPolicy, hasher }),
    signAccessToken,
    tokens: makeTokens({ ...config, keyring, sign: signAccessToken, grantScopes }),
    verifyAccessToken: makeVerifyAccessToken(verifying),
    readAccessToken: makeReadAccessToken(verifying),
  };
}
