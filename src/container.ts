import type { Config } from './config.ts';
import { makeApiKeySecrets, makeFindApiKey } from './core/api-keys/api-keys.ts';
import { makeAudit } from './core/audit/audit.ts';
import { makeRecordConfigChanges } from './core/audit/config-changes.ts';
import { makeRecordDeniedRequest } from './core/audit/denied-requests.ts';
import { makeFitGrants } from './core/authorization/token-budget.ts';
import { makeAuthorization } from './core/authorization/authorize.ts';
import { makeEmailCipher } from './core/email/email-cipher.ts';
import { makeEmailWorker } from './core/email/email-worker.ts';
import { makeOutbox } from './core/email/outbox.ts';
import { makeResolveEmailRequest } from './core/email/resolve-email-request.ts';
import { makeOneTimeTokens } from './core/one-time-tokens/one-time-tokens.ts';
import { makeCreateSession } from './core/sessions/create-session.ts';
import { makeRatchet } from './core/sessions/refresh-token.ts';
import { keyTimingOf } from './core/signing-keys/key-timing.ts';
import { makeKeyring } from './core/signing-keys/keyring.ts';
import { makeSigningKeyWorker } from './core/signing-keys/signing-key-worker.ts';
import { signingKeysChannel } from './core/signing-keys/signing-keys.sql.ts';
import { makeReadAccessToken, makeVerifyAccessToken, ownAudienceOf } from './core/tokens/access-token.ts';
import { makeTokens } from './core/tokens/issue-tokens.ts';
import { makeSignAccessToken } from './core/tokens/sign-access-token.ts';
import { makeCheckPassword, makeLiftLockout } from './core/users/check-password.ts';
import { makeConfirmPassword } from './core/users/confirm-password.ts';
import { makeHashNewPassword } from './core/users/new-password.ts';
import { makePasswordPolicy } from './core/users/password-policy.ts';
import { makeCheckSchema, type Readiness } from './features/health/readiness.ts';
import { makeAllowedOrigins } from './http/server/allowed-origins.ts';
import { makeMemoryCounters, makeSharedCounters } from './http/rate-limits/counters.ts';
import { makeRateLimiter } from './http/rate-limits/rate-limit.ts';
import { makeTokenTransport } from './http/token-transport.ts';
import type { Infrastructure } from './infrastructure.ts';
import type { Clock } from './lib/clock.ts';
import { deriveMasterKeys } from './lib/master-keys.ts';
import { makeBreachLookup } from './platform/breached-passwords.ts';
import type { Logger } from './platform/log.ts';
import { makeHasher } from './platform/password-hashing/password-hasher.ts';
import { openListener } from './platform/postgres/listener.ts';
import { makeDatabaseMonitor } from './platform/postgres/monitor.ts';

export interface ContainerDeps {
  config: Config;
  infrastructure: Infrastructure;
  log: Logger;
  clock: Clock;
  /** Common passwords, in lower case. */
  blocklist: ReadonlySet<string>;
}

export type Container = ReturnType<typeof makeContainer>;

/** The composition root: constructs what the features share. */
export function makeContainer({ config, infrastructure, log, clock, blocklist }: ContainerDeps) {
  const { databaseAvailability, db, metrics, redis, mailer, pool } = infrastructure;
  const { issuer, audience, baseUrl, accessTtlSeconds, refreshTtlSeconds, sessionTtlSeconds } = config;
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const [{ lockout: lockoutKey, recipient: recipientKey, partition: partitionKey }] = masterKeys;
  const { authorize, authorizeRead } = makeAuthorization();
  const audit = makeAudit({ clock });

  const timing = keyTimingOf(config);
  const keyring = makeKeyring({ db, audit, masterKeys, alg: config.jwtAlg, timing, log });
  const signingKeyWorker = makeSigningKeyWorker({
    maintain: keyring.maintain,
    pollSeconds: timing.pollSeconds,
    listen: (onNotification) =>
      openListener({
        url: config.database.directUrl,
        channel: signingKeysChannel,
        onNotification,
        onError: databaseAvailability.failed,
        log,
      }),
    runner: { log, metrics },
  });
  const readiness: Readiness = { migrations: 'pending', keysLoaded: keyring.isLoaded, draining: false };
  const databaseMonitor = makeDatabaseMonitor(config.database);

  const hasher = makeHasher(config.hashing, metrics.waitedForHash);
  const breached = config.hibpUrl === undefined ? undefined : makeBreachLookup(config.hibpUrl, log);
  const passwordPolicy = makePasswordPolicy({ minLength: config.passwordMinLength, blocklist, breached });
  const checkPassword = makeCheckPassword({ db, audit, limits: config.lockout, lockoutKey, metrics });

  const apiKeySecrets = makeApiKeySecrets(masterKeys);
  const oneTimeTokens = makeOneTimeTokens(db, masterKeys, clock);
  const emailCipher = makeEmailCipher(masterKeys);
  const outbox = makeOutbox({
    emailCipher,
    recipientKey,
    clock,
    isEnabled: mailer !== undefined,
    onEnqueued: () => emailWorker.wake(),
  });
  const emailWorker = makeEmailWorker({
    db,
    mailer,
    emailCipher,
    resolveEmailRequest: makeResolveEmailRequest({ outbox, oneTimeTokens, audit }),
    appUrl: config.appUrl,
    log,
    metrics,
  });

  const ratchet = makeRatchet(masterKeys);
  const signAccessToken = makeSignAccessToken({ keyring, clock, issuer, audience, accessTtlSeconds });
  const fitGrants = makeFitGrants({ issuer, audience, log });
  const requiresVerifiedEmail = config.emailVerification === 'required';
  const accessTokenReader = {
    keyring,
    clock,
    issuer,
    audience,
    requiresVerifiedEmail,
    onUnknownKey: signingKeyWorker.reloadSoon,
  };
  const { cookieSameSite, cookiePartitioned } = config;
  const allowedOrigins = makeAllowedOrigins(config, log);

  metrics.watch({
    hashQueue: hasher.queue,
    connections: pool.connections,
    activeKey() {
      const since = keyring.activeSince();
      return since && { kid: keyring.active().kid, ageSeconds: Math.max(0, (clock.nowMs() - since.getTime()) / 1000) };
    },
    databaseIsUp: databaseMonitor.isUp,
    redisIsUp: redis?.isUp,
  });

  return {
    config,
    log,
    clock,
    db,
    metrics,
    audit,
    authorize,
    authorizeRead,
    keyring,
    signingKeyWorker,
    emailWorker,
    readiness,
    checkSchema: makeCheckSchema({ db, readiness }),
    databaseMonitor,
    redisIsUp: redis?.isUp,
    hasher,
    passwordPolicy,
    checkPassword,
    confirmPassword: makeConfirmPassword({ db, hasher, checkPassword }),
    hashNewPassword: makeHashNewPassword({ policy: passwordPolicy, hasher }),
    liftLockout: makeLiftLockout(lockoutKey),
    apiKeySecrets,
    findApiKey: makeFindApiKey({ db, secrets: apiKeySecrets, requiresVerifiedEmail }),
    oneTimeTokens,
    outbox,
    allowedOrigins,
    ratchet,
    createSession: makeCreateSession({ ratchet, clock, refreshTtlSeconds, sessionTtlSeconds }),
    tokenTransport: makeTokenTransport({
      ratchet,
      masterKeys,
      baseUrl,
      allowedOrigins,
      cookieSameSite,
      cookiePartitioned,
    }),
    signAccessToken,
    fitGrants,
    tokens: makeTokens({ sign: signAccessToken, keyring, accessTtlSeconds, fitGrants }),
    readAccessToken: makeReadAccessToken(accessTokenReader),
    verifyAccessToken: makeVerifyAccessToken({ ...accessTokenReader, audience: ownAudienceOf(issuer, audience) }),
    rateLimiter: makeRateLimiter({
      rateLimits: config.rateLimits,
      openCounters: (name, windowSeconds) =>
        redis ? makeSharedCounters(redis, `keyturn:limit:${name}:`, windowSeconds) : makeMemoryCounters(windowSeconds),
      partitionKey,
      metrics,
    }),
    recordDeniedRequest: makeRecordDeniedRequest({ db, audit, log }),
    recordConfigChanges: makeRecordConfigChanges({ db, audit, keys: masterKeys }),
  };
}
