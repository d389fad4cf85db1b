import { apiInfo } from './api-info.ts';
import type { Config } from './config.ts';
import type { Logger } from './platform/log.ts';
import { makeMetrics } from './platform/metrics.ts';
import { openDatabase } from './platform/postgres.ts';
import { openPool } from './platform/postgres-pool.ts';
import { openRedis } from './platform/redis.ts';

export type Outside = ReturnType<typeof openOutside>;

/** What one process holds of the outside world. Nothing connects before it is needed, but Redis, where there is one. */
export function openOutside(config: Config, log: Logger) {
  const metrics = makeMetrics(apiInfo.version);
  const pool = openPool(config.database, metrics.waitedForConnection);
  const db = openDatabase(config.database, pool, log);
  const redis = config.redisUrl === undefined ? undefined : openRedis(config.redisUrl, log);
  return {
    metrics,
    pool,
    db,
    redis,
    async close() {
      redis?.close();
      await db.$disconnect();
    },
  };
}
