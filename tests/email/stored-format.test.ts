// Processes of an older and a newer version must be able to read each other's stored emails.
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { makeEmailCipher } from '../../src/core/email/email-cipher.ts';
import { type EmailId, newId, type OneTimeTokenId, type UserId } from '../../src/lib/ids.ts';
import { deriveMasterKeys, seal, unseal } from '../../src/lib/master-keys.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';

const masterKeys = deriveMasterKeys([randomBytes(32)]);
const [{ id: masterKeyId, mail: key }] = masterKeys;
const cipher = makeEmailCipher(masterKeys);
const id = newId<EmailId>(Date.now());
const userId = newId<UserId>(Date.now());
const to = 'ada@example.com' as EmailAddress;

const sealedBefore = (stored: object) => ({
  id,
  sealed: seal(key, id, Buffer.from(JSON.stringify(stored))),
  masterKeyId,
});
const storedJson = ({ sealed }: { sealed: Uint8Array }): unknown => JSON.parse(unseal(key, id, sealed).toString());

const requests = [
  {
    stored: {
      kind: 'registration',
      email: to,
      userId,
      client: { requestId: 'r-1', ip: '192.0.2.1', userAgent: 'curl' },
    },
    request: {
      kind: 'registration',
      email: to,
      userId,
      source: { id: 'r-1', clientRequestId: null, ip: '192.0.2.1', userAgent: 'curl' },
    },
  },
  {
    stored: { kind: 'password_reset', email: to, client: { requestId: 'r-2', ip: '192.0.2.1', userAgent: null } },
    request: {
      kind: 'password_reset',
      email: to,
      source: { id: 'r-2', clientRequestId: null, ip: '192.0.2.1', userAgent: null },
    },
  },
] as const;

test.each(requests)('a stored request of an older version is read: $stored.kind', ({ stored, request }) => {
  expect(cipher.openRequest(sealedBefore(stored))).toStrictEqual(request);
});

test.each(requests)('a request is stored in the format of older versions: $stored.kind', ({ stored, request }) => {
  expect(storedJson(cipher.sealRequest(id, request))).toEqual(stored);
});

const messages = [
  { kind: 'password_changed', to, name: 'Ada' },
  { kind: 'reset_password', to, name: 'Ada', token: { id: newId<OneTimeTokenId>(Date.now()), text: 'kto_x' } },
  {
    kind: 'password_changed',
    to,
    name: 'Ada',
    apiKeys: { areRevoked: true, keys: [{ name: 'Nightly report', prefix: 'ktk_AZehsG8vfB2a' }] },
  },
  { kind: 'email_changed', to, name: 'Ada', newEmail: 'ada@lovelace.example' as EmailAddress },
] as const;

test.each(messages)('a stored message of an older version is read, and stored in its format: $kind', (message) => {
  expect(cipher.openMessage(sealedBefore(message))).toStrictEqual(message);
  expect(storedJson(cipher.sealMessage(id, message))).toEqual(message);
});

test.each([
  { kind: 'unknown', to, name: 'Ada' },
  { kind: 'password_changed', name: 'Ada' },
  { kind: 'reset_password', to, name: 'Ada', token: 'kto_x' },
])('a stored message with another format is reported as damaged: %j', (stored) => {
  expect(() => cipher.openMessage(sealedBefore(stored))).toThrow('the sealed email is damaged');
});

test('a request with several members of the request object stores only its source', () => {
  const source = {
    id: 'r-1',
    clientRequestId: 'c-1',
    ip: '192.0.2.1',
    userAgent: null,
    network: '192.0.2.0/24',
    signal: AbortSignal.abort(),
  };
  const { stored } = requests[1];
  expect(storedJson(cipher.sealRequest(id, { kind: 'password_reset', email: to, source }))).toEqual({
    ...stored,
    client: { requestId: 'r-1', clientRequestId: 'c-1', ip: '192.0.2.1', userAgent: null },
  });
});
