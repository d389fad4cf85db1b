import { z } from 'zod';
import { KeyStatus } from '../../core/signing-keys/key-lifecycle.ts';
import type { ListedKey, Rotation as RequestedRotation } from '../../core/signing-keys/operator-actions.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { type ListSigningKeysDeps, makeListSigningKeys } from './list-signing-keys.ts';
import { makeRevokeSigningKey } from './revoke-signing-key.ts';
import { type ChangeSigningKeysDeps, makeRotateSigningKeys } from './rotate-signing-keys.ts';

const kid = z.string().meta({ description: 'The key id in the JWKS and in the header of access tokens' });
const exampleKid = '3s6QkUxWYvXAGlmVlW2hn1gTpFvQZ1vQ0m7bW4Zk9xE';

const SigningKeyList = z
  .object({
    keys: z
      .array(
        z.object({
          kid,
          alg: z.string().meta({ description: 'The signature algorithm (RFC 7518)' }),
          status: z.enum(KeyStatus.options).meta({
            description:
              '`active` signs. `next` is published and will sign. `retired` only verifies. `revoked` is not accepted',
          }),
          since: z.iso.datetime().meta({ description: 'Time of the last change of status' }),
        }),
      )
      .meta({ description: 'All keys: active, next, retired, revoked' }),
  })
  .meta({
    id: 'SigningKeyList',
    description: 'The signing keys, without their private halves',
    examples: [{ keys: [{ kid: exampleKid, alg: 'ES256', status: 'active', since: '2026-11-22T09:00:00.000Z' }] }],
  });

const Rotation = z
  .object({
    keys: z
      .array(
        z.object({
          kid,
          takes_over_at: z.iso.datetime().meta({
            description: 'When the key becomes active. A time in the past means within seconds, or that it is active',
          }),
          asked: z.boolean().meta({
            description: 'False if the last rotation was so recent that this request did not start another one',
          }),
        }),
      )
      .meta({ description: 'One key for each algorithm' }),
  })
  .meta({
    id: 'Rotation',
    description: 'The keys that become active, and when',
    examples: [{ keys: [{ kid: exampleKid, takes_over_at: '2026-11-22T09:05:00.000Z', asked: true }] }],
  });

const toKey = ({ kid, alg, status, since }: ListedKey) => ({ kid, alg, status, since: since.toISOString() });

const toRotation = (rotation: RequestedRotation) => ({
  kid: rotation.kid,
  takes_over_at: (rotation.kind === 'requested' ? rotation.readyAt : rotation.activatedAt).toISOString(),
  asked: rotation.kind === 'requested',
});

const common = { tag: 'Administration', scopes: ['keys:write'] } as const;

export function signingKeyEndpoints(deps: ListSigningKeysDeps & ChangeSigningKeysDeps): Endpoint[] {
  const listSigningKeys = makeListSigningKeys(deps);
  const rotateSigningKeys = makeRotateSigningKeys(deps);
  const revokeSigningKey = makeRevokeSigningKey(deps);
  return [
    endpoint({
      ...common,
      method: 'get',
      path: '/admin/keys',
      operationId: 'listSigningKeys',
      summary: 'List the signing keys',
      response: SigningKeyList,
      handle: async ({ principal }) => ({ keys: (await listSigningKeys(principal)).map(toKey) }),
    }),
    endpoint({
      ...common,
      method: 'post',
      path: '/admin/keys/rotate',
      operationId: 'rotateSigningKeys',
      summary: 'Rotate the signing keys',
      description:
        'The next key becomes active as soon as every verifier can have it in its cache. A repeated request starts no second rotation.',
      response: Rotation,
      handle: async ({ principal, request }) => ({
        keys: (await rotateSigningKeys(principal, request)).map(toRotation),
      }),
    }),
    endpoint({
      ...common,
      method: 'post',
      path: '/admin/keys/:kid/revoke',
      operationId: 'revokeSigningKey',
      summary: 'Revoke a signing key',
      description:
        'Use this if a key has leaked. Its tokens are rejected immediately. If it was active, the next key becomes active. ' +
        'Other verifiers can accept it for twice `JWKS_MAX_AGE`. A revocation is permanent.',
      params: z.object({
        kid: z
          .string()
          .regex(/^[\w-]{43}$/)
          .meta({ description: 'The `kid` of the signing key', examples: [exampleKid] }),
      }),
      handle: ({ params, principal, request }) => revokeSigningKey(principal, params.kid, request),
    }),
  ];
}
