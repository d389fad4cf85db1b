import type { Config } from './config.ts';
import { makeApiKeySecrets, makeFindApiKey } from './core/api-keys/api-keys.ts';
import { recordSettings } from './core/audit/settings.store.ts';
import { makeRecordRefusal } from './core/audit/refusals.ts';
import { makeKeyring } from './core/keys/keyring.ts';
import { deriveMasterKeys } from './core/keys/master-keys.ts';
import { keyTimes } from './core/keys/schedule.ts';
import { keysChannel } from './core/keys/signing-keys.store.ts';
import { makeKeyTending } from './core/keys/tending.ts';
import { type AnswerAsk, type Answers, makeMailSeal, makeOutbox } from './core/mails/outbox.ts';
import { makeOneTimeTokens } from './core/one-time-tokens/one-time-token.ts';
import { grantScopes, ownScopes } from './core/scopes/scopes.ts';
import { makePostman } from './core/mails/postman.ts';
import { makeNewSession } from './core/sessions/new-session.ts';
import { makeRatchet } from './core/sessions/ratchet.ts';
import { makeConfirmPassword } from './core/sessions/confirm-password.ts';
import { makeTransports } from './core/sessions/transports.ts';
import { makeReadAccessToken, makeSignAccessToken, makeVerifyAccessToken } from './core/tokens/access-token.ts';
import { makeTokens } from './core/tokens/tokens.ts';
import { makeCheckPassword, makeLiftLockout } from './core/users/check-password.ts';
import { makeHashNewPassword } from './core/users/hash-new-password.ts';
import { makeLockoutStore } from './core/users/lockout.store.ts';
import { makePasswordPolicy } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { makeBrowserPolicy } from './http/browser.ts';
import { makeCountRequest } from './http/rate-limit.ts';
import { SharedCounters } from './http/shared-counters.ts';
import type { Clock } from './kernel/clock.ts';
import { makeBreachLookup } from './platform/breached-passwords.ts';
import { makeHasher } from './platform/hasher.ts';
import type { Logger } from './platform/log.ts';
import { answers } from './platform/postgres.ts';
import { openListener } from './platform/postgres-listener.ts';
import type { Outside } from './outside.ts';

export interface AppDeps {
  config: Config;
  outside: Outside;
  log: Logger;
  clock: Clock;
  /** Common passwords, folded. */
  blocklist: ReadonlySet<string>;
  /** In tests: every answer is held to its declaration. */
  checkReplies?: boolean;
}

/** What features are made of: the settings, the outside world, and the nouns that several of them need. */
export function makeParts({ config, outside, log, clock, blocklist }: AppDeps) {
  const { db, metrics, redis } = outside;
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const times = keyTimes(config);
  const keyring = makeKeyring({ db, masterKeys, alg: config.jwtAlg, times, log });
  const keyTending = makeKeyTending({
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
  const verifying = { ...accessTokens, onUnknownKey: keyTending.lookAgain };
  const signAccessToken = makeSignAccessToken(accessTokens);
  const apiKeySecrets = makeApiKeySecrets(masterKeys);
  const mailSeal = makeMailSeal(masterKeys);
  const asked: Partial<Answers> = {};
  const answer: AnswerAsk = (tx, ask) => {
    const answerThis = asked[ask.kind];
    if (!answerThis) throw new Error(`nobody answers what was asked: ${ask.kind}`);
    return answerThis(tx, ask);
  };
  const postman = makePostman({ ...outside, mailSeal, answer, appUrl: config.appUrl, log });
  const outbox = makeOutbox({
    mailSeal,
    recipientKey: masterKeys[0].recipient,
    clock,
    sendsMail: outside.mailer !== undefined,
    onMail: () => postman.wake(),
  });
  const checkPassword = makeCheckPassword({
    store: makeLockoutStore(db, config.lockout),
    lockoutKey: masterKeys[0].lockout,
    metrics,
  });
  return {
    ...config,
    db,
    metrics,
    clock,
    keyring,
    keyTending,
    postman,
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
    transports: makeTransports({ ratchet, masterKeys }),
    recordSettings: () => recordSettings(db, config.auditedSettings, masterKeys),
    onRefusedCall: makeRecordRefusal(db, log),
    browsers: makeBrowserPolicy(config.baseUrl, config.corsOrigins, config.cookieSameSite),
    scopes: Object.keys(ownScopes),
    describedScopes: ownScopes,
    newSession: makeNewSession({ ...config, ratchet, clock }),
    hashNewPassword: makeHashNewPassword({ policy: passwordPolicy, hasher }),
    signAccessToken,
    tokens: makeTokens({ ...config, keyring, sign: signAccessToken, grantScopes }),
    verifyAccessToken: makeVerifyAccessToken(verifying),
    readAccessToken: makeReadAccessToken(verifying),
  };
}
