import { z } from 'zod';
import type { ListedKey, RotationAnswer } from '../../core/signing-keys/key-operations.store.ts';
import { endpoint } from '../../http/endpoint.ts';
import type { AdminKeys } from './signing-keys.ts';

const kid = z.string().meta({ description: 'As in the JWKS and in the header of tokens' });
const exampleKid = '3s6QkUxWYvXAGlmVlW2hn1gTpFvQZ1vQ0m7bW4Zk9xE';

const SigningKeyList = z
  .object({
    keys: z
      .array(
        z.object({
          kid,
          alg: z.string().meta({ description: 'What it signs by (RFC 7518)' }),
          status: z
            .enum(['active', 'next', 'retired', 'revoked'])
            .meta({ description: '`active` signs, `next` will, `retired` is only verified by, `revoked` by nobody' }),
          since: z.iso.datetime().meta({ description: 'Since when it is that' }),
        }),
      )
      .meta({ description: 'All there are, a handful: what signs first, what is gone last' }),
  })
  .meta({
    id: 'SigningKeyList',
    description: 'The signing keys, without the private ones',
    examples: [{ keys: [{ kid: exampleKid, alg: 'ES256', status: 'active', since: '2026-11-22T09:00:00.000Z' }] }],
  });

const Rotation = z
  .object({
    keys: z
      .array(
        z.object({
          kid,
          takes_over_at: z.iso
            .datetime()
            .meta({ description: 'When every verifier can know it; past where it signs now' }),
          asked: z
            .boolean()
            .meta({ description: 'False where a rotation was asked for a moment ago: it was that one' }),
        }),
      )
      .meta({ description: 'One for each algorithm' }),
  })
  .meta({
    id: 'Rotation',
    description: 'Which keys take over, and when',
    examples: [{ keys: [{ kid: exampleKid, takes_over_at: '2026-11-22T09:05:00.000Z', asked: true }] }],
  });

const toKey = ({ kid, alg, status, since }: ListedKey) => ({
  kid,
  alg,
  status: status as 'active' | 'next' | 'retired' | 'revoked',
  since: since.toISOString(),
});

const toRotation = (answer: RotationAnswer) => ({
  kid: answer.kid,
  takes_over_at: (answer.kind === 'done' ? answer.activatedAt : answer.readyAt).toISOString(),
  asked: answer.kind === 'asked',
});

const common = { tag: 'Administration', scopes: ['keys:write'] } as const;

export const adminKeysRoutes = ({ list, rotate, revoke }: AdminKeys) => [
  endpoint({
    ...common,
    method: 'get',
    path: '/admin/keys',
    operationId: 'listSigningKeys',
    summary: 'List the signing keys',
    response: SigningKeyList,
    handle: async ({ principal }) => ({ keys: (await list(principal)).map(toKey) }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/admin/keys/rotate',
    operationId: 'rotateSigningKeys',
    summary: 'Let the next key sign as soon as every verifier can know it',
    response: Rotation,
    handle: async ({ principal, request }) => ({ keys: (await rotate(principal, request)).map(toRotation) }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/admin/keys/:kid/revoke',
    operationId: 'revokeSigningKey',
    summary: 'Destroy a signing key at once',
    description:
      'For a key that leaked: what it signed is refused from now on, and where it was the active one the next takes over. ' +
      'Verifiers elsewhere may keep it for twice `JWKS_MAX_AGE`.',
    params: z.object({
      kid: z
        .string()
        .regex(/^[\w-]{43}$/)
        .meta({ description: 'As in the list', examples: [exampleKid] }),
    }),
    handle: ({ params, principal, request }) => revoke(principal, params.kid, request),
  }),
];
