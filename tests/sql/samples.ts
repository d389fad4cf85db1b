// Arguments for every function of a `*.sql.ts` file, by file and name: each call must run a statement. 'tx' is the transaction.
const id = '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10';
const otherId = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
const bytes = Buffer.alloc(32);
const source = { id: 'request', ip: '192.0.2.1', userAgent: null };
const unused = { retentionSeconds: 2_592_000, sessionTtlSeconds: 2_592_000 };
const lockoutKey = {
  emailHmac: bytes,
  scopes: [
    { network: '192.0.2.0/24', maxFailures: 5 },
    { network: '*', maxFailures: 50 },
  ],
  durationSeconds: 900,
};
const rotation = { sessionId: id, generation: 1, hash: bytes, nextHash: bytes, salt: bytes, network: '192.0.2.0/24' };
const rotationTimes = { refreshTtlSeconds: 60, refreshGracePeriodSeconds: 30 };
const refreshToken = { sessionId: id, generation: 1, secret: bytes };
const timing = {
  rotationSeconds: 60,
  publicationSeconds: 60,
  accessTtlSeconds: 60,
  retentionSeconds: 60,
  pollSeconds: 5,
};
const signingKey = { kid: 'k', alg: 'ES256', publicJwk: {}, sealedKey: bytes, masterKeyId: 'm' };

export const samples: Readonly<Record<string, readonly (readonly unknown[])[]>> = {
  'core/api-keys/api-keys.sql.ts deleteApiKeysOf': [['tx', id]],
  'core/api-keys/api-keys.sql.ts findLiveApiKeys': [['tx', id]],
  'core/api-keys/api-keys.sql.ts isKeyOf': [
    [{ apiKeyId: id, issuedAt: 0, tokenEpochMs: undefined }],
    [{ apiKeyId: id, issuedAt: 0, tokenEpochMs: 0 }],
  ],
  'core/api-keys/api-keys.sql.ts purgeApiKeys': [['tx', 1]],
  'core/api-keys/api-keys.sql.ts revokeTokensOf': [['tx', id]],
  'core/api-keys/api-keys.sql.ts useApiKeyBySecret': [['tx', { id, hash: bytes }]],
  'core/api-keys/api-keys.sql.ts useApiKeyByToken': [
    ['tx', { apiKeyId: id, issuedAt: 0 }],
    ['tx', { apiKeyId: id, issuedAt: 0, tokenEpochMs: 0 }],
  ],
  'core/audit/audit-events.sql.ts findEvents': [
    ['tx', { order: 'oldest first', limit: 1 }],
    ['tx', { userId: id, type: 'login', from: id, after: id, before: id, order: 'newest first', limit: 1 }],
    ['tx', { sessionId: id, since: new Date(), until: new Date(), order: 'newest first', limit: 1 }],
    ['tx', { requestId: 'r', email: 'ada@example.com', since: new Date(), order: 'newest first', limit: 1 }],
    ['tx', { network: { first: '192.0.2.1', last: '192.0.2.1' }, order: 'newest first', limit: 1 }],
    ['tx', { requestId: 'r', network: { first: '192.0.2.0', last: '192.0.2.255' }, order: 'newest first', limit: 1 }],
  ],
  'core/audit/audit-events.sql.ts planForParameters': [['tx']],
  'core/audit/audit-partitions.sql.ts createPartition': [['tx', 1]],
  'core/audit/audit-partitions.sql.ts deletePersonalData': [['tx', 60, 1]],
  'core/audit/audit-partitions.sql.ts dropOldestPartition': [['tx', 60]],
  'core/audit/audit-partitions.sql.ts findPartitionWork': [
    ['tx', 2, 60],
    ['tx', 2, undefined],
  ],
  'core/audit/audit-partitions.sql.ts limitLockWait': [['tx']],
  'core/audit/audit-partitions.sql.ts lockTrail': [['tx']],
  'core/audit/audit-partitions.sql.ts tryLockPartitions': [['tx']],
  'core/audit/audit.sql.ts insertEvent': [
    [
      'tx',
      {
        id,
        type: 'login',
        outcome: 'success',
        reason: null,
        actorId: id,
        userId: id,
        sessionId: id,
        apiKeyId: null,
        role: null,
        kid: null,
        source,
      },
    ],
    [
      'tx',
      {
        id,
        type: 'login',
        outcome: 'failure',
        reason: 'cli',
        actorId: null,
        userId: null,
        sessionId: null,
        apiKeyId: null,
        role: 'r',
        kid: 'k',
        source: null,
      },
    ],
  ],
  'core/audit/audit.sql.ts insertImportEvents': [['tx', [{ id, userId: id }]]],
  'core/audit/config-changes.sql.ts lockFingerprints': [['tx']],
  'core/audit/config-changes.sql.ts saveFingerprints': [['tx', 'key', [{ name: 'ACCESS_TTL', hmac: bytes }]]],
  'core/authorization/authorization.sql.ts findGrants': [
    ['tx', { userId: id, sessionId: id, apiKeyId: undefined, scopes: [], authTime: 0 }],
    ['tx', { userId: id, sessionId: undefined, apiKeyId: id, scopes: [], authTime: undefined }],
  ],
  'core/authorization/authorization.sql.ts findGrantsOf': [['tx', id]],
  'core/authorization/authorization.sql.ts lockGrants': [['tx']],
  'core/authorization/authorization.sql.ts lockUsers': [['tx', [id, otherId]]],
  'core/authorization/fragments.sql.ts isPrincipal': [[{ userId: id, sessionId: id }]],
  'core/email/outbox.sql.ts claimEmail': [
    ['tx', { leaseSeconds: 60, urgentOnly: true }],
    ['tx', { leaseSeconds: 60, urgentOnly: false }],
  ],
  'core/email/outbox.sql.ts countRecentEmails': [['tx', { recipient: bytes, address: bytes, kinds: ['verify_email'] }]],
  'core/email/outbox.sql.ts lockRecipient': [['tx', bytes]],
  'core/email/outbox.sql.ts markSent': [['tx', id]],
  'core/email/outbox.sql.ts postponeEmail': [
    ['tx', { id, attempts: 3 }, { error: 'internal error', delaySeconds: 5.5, minAttempts: 10 }],
  ],
  'core/email/outbox.sql.ts purgeEmails': [['tx', 500]],
  'core/email/outbox.sql.ts readBacklog': [['tx']],
  'core/email/outbox.sql.ts retryFailedEmails': [['tx']],
  'core/email/outbox.sql.ts takeRequest': [
    ['tx', { urgentOnly: true }],
    ['tx', { urgentOnly: false }],
  ],
  'core/one-time-tokens/one-time-tokens.sql.ts deleteToken': [
    ['tx', { id, hash: bytes }, ['verification', 'email_change']],
  ],
  'core/one-time-tokens/one-time-tokens.sql.ts extendUndoTokens': [['tx', id, 'ada@example.com', 3600]],
  'core/one-time-tokens/one-time-tokens.sql.ts findTokenHolder': [['tx', { id, hash: bytes }, 'password_reset']],
  'core/one-time-tokens/one-time-tokens.sql.ts lockUserOfToken': [['tx', id]],
  'core/one-time-tokens/one-time-tokens.sql.ts purgeTokens': [['tx', 500]],
  'core/one-time-tokens/one-time-tokens.sql.ts restartLifetime': [['tx', id]],
  'core/one-time-tokens/one-time-tokens.sql.ts upsertToken': [
    ['tx', { id, hash: bytes, userId: id, purpose: 'verification', email: 'ada@example.com', lifetimeSeconds: 3600 }],
  ],
  'core/one-time-tokens/one-time-tokens.sql.ts invalidateOverriddenTokens': [
    ['tx', { tokenId: id, userId: id, email: 'ada@example.com' }],
  ],
  'core/signing-keys/signing-keys.sql.ts activateNextKey': [['tx', 'ES256']],
  'core/signing-keys/signing-keys.sql.ts findNextKeys': [['tx']],
  'core/signing-keys/signing-keys.sql.ts insertKey': [
    ['tx', signingKey, 'next', timing],
    ['tx', signingKey, 'active', timing],
  ],
  'core/signing-keys/signing-keys.sql.ts lockSigningKeys': [['tx']],
  'core/signing-keys/signing-keys.sql.ts markRequested': [['tx', 'k']],
  'core/signing-keys/signing-keys.sql.ts markRevoked': [['tx', 'k']],
  'core/signing-keys/signing-keys.sql.ts notifyProcesses': [['tx']],
  'core/signing-keys/signing-keys.sql.ts readKeyStates': [
    ['tx', 'ES256', timing],
    ['tx', 'ES256', { ...timing, rotationSeconds: null }],
  ],
  'core/signing-keys/signing-keys.sql.ts retireActiveKey': [['tx', 'ES256']],
  'core/signing-keys/signing-keys.sql.ts storeRequirements': [['tx', 'ES256', timing]],
  'core/unused-accounts/unused-accounts.sql.ts deleteUnusedAccounts': [['tx', [id], unused]],
  'core/unused-accounts/unused-accounts.sql.ts findUnverifiedUsers': [['tx', id, 2_592_000, 100]],
  'core/unused-accounts/unused-accounts.sql.ts lockUnusedAccounts': [['tx', [id], unused]],
  'core/user-import/user-import.sql.ts claimRange': [['tx', bytes, { from: 0, to: 1, lines: 1, isLast: true }]],
  'core/user-import/user-import.sql.ts insertRefusedLines': [['tx', bytes, []]],
  'core/user-import/user-import.sql.ts insertUsers': [['tx', []]],
  'core/users/create-admin.sql.ts lockAccount': [['tx', 'ada@example.com']],
  'core/users/email-reservation.sql.ts isReservedEmail': [['ada@example.com', id]],
  'core/users/lockout.sql.ts addFailure': [['tx', lockoutKey]],
  'core/users/lockout.sql.ts clearFailures': [['tx', lockoutKey]],
  'core/users/lockout.sql.ts clearLockouts': [['tx', bytes]],
  'core/users/lockout.sql.ts findLockoutSeconds': [['tx', lockoutKey]],
  'core/users/lockout.sql.ts purgeLockouts': [['tx', 900, 500]],
  'core/users/lockout.sql.ts startAttempt': [['tx', lockoutKey]],
  'core/users/lockout.sql.ts undoAttempt': [['tx', lockoutKey, ['192.0.2.0/24', '*']]],
  'core/users/users.sql.ts findCredentials': [['tx', 'ada@example.com']],
  'core/users/users.sql.ts findPrincipalPassword': [
    ['tx', { userId: id, sessionId: id }],
    ['tx', { userId: id, apiKeyId: id }],
  ],
  'core/users/users.sql.ts findPrincipalUser': [
    ['tx', { userId: id, sessionId: id }],
    ['tx', { userId: id, apiKeyId: id }],
  ],
  'core/users/users.sql.ts lockUserByEmail': [['tx', 'ada@example.com']],
  'features/email-change/email-change.sql.ts isTaken': [['tx', 'ada@example.com', id]],
  'core/sessions/purge-sessions.sql.ts purgeSessions': [['tx', 500]],
  'core/sessions/rotate-session.sql.ts rotateMany': [['tx', [rotation], rotationTimes]],
  'core/sessions/rotate-session.sql.ts rotateOne': [['tx', rotation, rotationTimes]],
  'core/sessions/sessions.sql.ts findSession': [['tx', id]],
  'core/sessions/sessions.sql.ts insertSession': [
    [
      'tx',
      {
        id,
        userId: id,
        verifiedHash: '!',
        tokenHash: bytes,
        requestedScope: null,
        request: { ip: '192.0.2.1', network: '192.0.2.0/24', userAgent: null },
        refreshTtlSeconds: 60,
        sessionTtlSeconds: 60,
      },
    ],
  ],
  'core/sessions/sessions.sql.ts lockUserOfSession': [['tx', id]],
  'core/sessions/sessions.sql.ts revokeExcessSessions': [['tx', id, otherId]],
  'core/sessions/sessions.sql.ts revokeSession': [['tx', id, 'logout']],
  'core/sessions/sessions.sql.ts revokeSessionBatch': [
    ['tx', null, 10],
    ['tx', id, 10],
  ],
  'core/sessions/sessions.sql.ts revokeSessionsOf': [
    ['tx', id, 'logout_all'],
    ['tx', id, 'password_changed', otherId],
  ],
  'features/oauth/oauth.sql.ts findApiKeyScopes': [
    ['tx', { apiKeyId: id, issuedAt: 0 }],
    ['tx', { apiKeyId: id, issuedAt: 0, tokenEpochMs: 0 }],
  ],
  'features/refresh/refresh.sql.ts findSessionState': [['tx', refreshToken, 30]],
  'features/refresh/refresh.sql.ts markRefused': [['tx', id]],
  'features/refresh/refresh.sql.ts markReplayed': [['tx', id, 1]],
  'features/roles/roles.sql.ts findLargestGrantsOf': [['tx', 'editor']],
  'features/roles/roles.sql.ts lockRole': [['tx', 'editor']],
  'features/sessions/sessions.sql.ts findLiveSessions': [
    ['tx', id, undefined, 1],
    ['tx', id, otherId, 1],
  ],
  'features/sign-up/sign-up.sql.ts findUser': [['tx', id]],
  'features/sign-up/sign-up.sql.ts grantUserRole': [['tx', { id, email: 'ada@example.com' }]],
  'features/users/users.sql.ts findNewestUsers': [
    ['tx', undefined, 1],
    ['tx', id, 1],
  ],
  'features/users/users.sql.ts findUser': [['tx', id]],
  'features/users/users.sql.ts findUsersByEmail': [
    ['tx', 'ada', undefined, 1],
    ['tx', 'ada', 'ada@example.com', 1],
  ],
  'features/users/users.sql.ts findUsersByNameOnly': [
    ['tx', 'ada', undefined, 1],
    ['tx', 'ada', { key: 'ada', id }, 1],
  ],
};
