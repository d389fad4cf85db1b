import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../kernel/refusal.ts';
import type { makeReadyz } from './readiness.ts';

const Alive = z.object({ status: z.literal('ok') }).meta({ id: 'Alive', examples: [{ status: 'ok' }] });

const Ready = z
  .object({
    status: z.literal('ready'),
    checks: z.object({ migrations: z.string(), signing_key: z.string(), postgres: z.enum(['up', 'down']) }),
  })
  .meta({
    id: 'Ready',
    examples: [{ status: 'ready', checks: { migrations: 'applied', signing_key: 'loaded', postgres: 'up' } }],
  });

const tag = 'Operations';

export const healthRoutes = (readyz: ReturnType<typeof makeReadyz>) => [
  endpoint({
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    tag,
    summary: 'Whether the process lives',
    reply: Alive,
    handle: () => ({ status: 'ok' as const }),
  }),
  endpoint({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tag,
    summary: 'Whether the process can serve',
    description: '503 while starting, unmigrated, without a signing key, or draining. `postgres` is told, not judged.',
    reply: Ready,
    refusals: [NotReady],
    handle: async () => ({ status: 'ready' as const, checks: await readyz() }),
  }),
];
