import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import { readyz, type ReadinessDeps } from './readiness.ts';

const Alive = z
  .object({ status: z.literal('ok').meta({ description: 'The process answers' }) })
  .meta({ id: 'Alive', description: 'The process lives', examples: [{ status: 'ok' }] });

const Ready = z
  .object({
    status: z.literal('ready').meta({ description: 'Requests may come' }),
    checks: z
      .object({
        migrations: z.string().meta({ description: '`applied`, or `pending`' }),
        signing_key: z.string().meta({ description: '`loaded`, or `missing`' }),
        postgres: z.enum(['up', 'down']).meta({ description: 'Whether it answered within a second' }),
        redis: z.enum(['up', 'down', 'off']).meta({ description: '`off` where `REDIS_URL` is not set' }),
      })
      .meta({ description: 'What was looked at' }),
  })
  .meta({
    id: 'Ready',
    description: 'The process can serve',
    examples: [
      { status: 'ready', checks: { migrations: 'applied', signing_key: 'loaded', postgres: 'up', redis: 'up' } },
    ],
  });

const tag = 'Operations';

export const health = (deps: ReadinessDeps) => [
  endpoint({
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    tag,
    summary: 'Whether the process lives',
    ceiling: 'none',
    response: Alive,
    handle: () => ({ status: 'ok' as const }),
  }),
  endpoint({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tag,
    summary: 'Whether the process can serve',
    description:
      '503 while starting, unmigrated, without a signing key, or draining. `postgres` and `redis` are told, not judged.',
    ceiling: 'none',
    response: Ready,
    errors: [NotReady],
    handle: async () => ({ status: 'ready' as const, checks: await readyz(deps) }),
  }),
];
