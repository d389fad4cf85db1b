import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import { makeCheckReadiness, type ReadinessDeps } from './readiness.ts';

const Alive = z
  .object({ status: z.literal('ok').meta({ description: 'Always `ok`' }) })
  .meta({ id: 'Alive', description: 'The process is running', examples: [{ status: 'ok' }] });

const Ready = z
  .object({
    status: z.literal('ready').meta({ description: 'Always `ready`' }),
    checks: z
      .object({
        migrations: z.enum(['applied', 'pending', 'damaged']).meta({
          description: 'Whether every migration is applied. `damaged` if something that they created is missing',
        }),
        signing_key: z.enum(['loaded', 'missing']).meta({ description: 'Whether the process has a signing key' }),
        postgres: z.enum(['up', 'down']).meta({
          description:
            'Whether Postgres responds and accepts writes. Checked every second; an outage without an error shows after three seconds',
        }),
        redis: z.enum(['up', 'down', 'off']).meta({ description: '`off` if `REDIS_URL` is not set' }),
      })
      .meta({ description: 'The result of each check' }),
  })
  .meta({
    id: 'Ready',
    description: 'The process can serve requests',
    examples: [
      { status: 'ready', checks: { migrations: 'applied', signing_key: 'loaded', postgres: 'up', redis: 'up' } },
    ],
  });

/** A prober that adds parameters must not find every process unhealthy. */
const probe = { tag: 'Operations', ceiling: 'none', ignoresUnknownQuery: true } as const;

export function healthEndpoints(deps: ReadinessDeps): Endpoint[] {
  const checkReadiness = makeCheckReadiness(deps);
  return [
    endpoint({
      ...probe,
      method: 'get',
      path: '/healthz',
      operationId: 'getHealth',
      summary: 'Check whether the process is running',
      response: Alive,
      handle: () => ({ status: 'ok' as const }),
    }),
    endpoint({
      ...probe,
      method: 'get',
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Check whether the process can serve requests',
      description:
        'Returns 503 while the process starts or shuts down, or if migrations or signing keys are missing, or if the schema is ' +
        'damaged. The state of Postgres and Redis is reported but does not cause a 503, so that the JWKS stays available. Responds ' +
        'from memory.',
      response: Ready,
      errors: [NotReady],
      handle: () => ({ status: 'ready' as const, checks: checkReadiness() }),
    }),
  ];
}
