import { makeAudit } from './core/audit/audit.ts';
import { makeAuthorization } from './core/authorization/authorize.ts';
import type { Config } from './config.ts';
import { makeApiKeySecrets, makeFindApiKey } from './core/api-keys/api-keys.ts';
import { recordSettings } from './core/audit/config-changes.store.ts';
import { makeRecordDenial } from './core/audit/denied-requests.ts';
import { makeKeyring } from './core/signing-keys/keyring.ts';
import { deriveMasterKeys } from './lib/master-keys.ts';
import { keyTimes } from './core/signing-keys/key-lifecycle.ts';
import { keysChannel } from './core/signing-keys/signing-keys.store.ts';
import { makeSigningKeyWorker } from './core/signing-keys/signing-key-worker.ts';
import { type ResolveEmailRequest, type Answers, makeEmailCipher, makeOutbox } from './core/email/outbox.ts';
import { makeOneTimeTokens } from './core/one-time-tokens/one-time-token.ts';
import { grantScopes, ownScopes } from './core/authorization/scopes.ts';
import { makeEmailWorker } from './core/email/email-worker.ts';
import { makeCreateSession } from './core/sessions/create-session.ts';
import { makeRatchet } from './core/sessions/refresh-token.ts';
import { makeConfirmPassword } from './core/users/confirm-password.ts';
import { makeTokenTransport } from './http/token-transport.ts';
import { makeReadAccessToken, makeSignAccessToken, makeVerifyAccessToken } from './core/tokens/access-token.ts';
import { makeTokens } from './core/tokens/issue-tokens.ts';
import { makeCheckPassword, makeLiftLockout } from './core/users/check-password.ts';
import { makeHashNewPassword } from './core/users/hash-new-password.ts';
import { makeLockoutStore } from './core/users/lockout.store.ts';
import { makePasswordPolicy } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { makeCountRequest } from './http/rate-limit.ts';
import { SharedCounters } from './http/rate-limit-store.ts';
import type { Clock } from './lib/clock.ts';
import { makeBreachLookup } from './platform/breached-passwords.ts';
import { makeHasher } from './platform/password-hashing/password-hasher.ts';
import type { Logger } from './platform/log.ts';
import { answers } from './platform/postgres.ts';
import { openListener } from './platform/postgres-listener.ts';
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
  const times = keyTimes(config);
  const keyring = makeKeyring({ db, masterKeys, alg: config.jwtAlg, times, log });
  const signingKeyWorker = makeSigningKeyWorker({
    tend: keyring.tend,
    pollSeconds: times.pollSeconds,
    listen: (onNews) => openListener({ url: config.database.directUrl, channel: keysChannel, onNews, log }),
    log,
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
  const asked: Partial<Answers> = {};
  const answer: ResolveEmailRequest = (tx, ask) => {
    const answerThis = asked[ask.kind];
    if (!answerThis) throw new Error(`nobody answers what was asked: ${ask.kind}`);
    return answerThis(tx, ask);
  };
  const emailWorker = makeEmailWorker({ ...infrastructure, emailCipher, answer, appUrl: config.appUrl, log });
  const outbox = makeOutbox({
    emailCipher,
    recipientKey: masterKeys[0].recipient,
    clock,
    sendsMail: infrastructure.mailer !== undefined,
    onMail: () => emailWorker.wake(),
  });
  const checkPassword = makeCheckPassword({
    store: makeLockoutStore(db, config.lockout),
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
    databaseAnswers: () => answers(db),
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
    oneTimeTokens: makeOneTimeTokens(db, masterKeys, clock),
    outbox,
    /** Who finds out for whom the asks of the outbox are: each feature its own. */
    answerAsks: (more: Partial<Answers>) => void Object.assign(asked, more),
    count: makeCountRequest({
      rateLimits: config.rateLimits,
      openCounters: (group) => redis && new SharedCounters(redis, `keyturn:limit:${group}:`),
      onLimited: metrics.limited,
    }),
    tokenTransport: makeTokenTransport({ ...config, ratchet, masterKeys }),
    recordSettings: () => recordSettings(db, config.auditedSettings, masterKeys),
    onDenied: makeRecordDenial(db, log),
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
