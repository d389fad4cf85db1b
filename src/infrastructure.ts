import { apiInfo } from './api-info.ts';
import type { Config } from './config.ts';
import { stdout } from './platform/line-writer.ts';
import type { Logger } from './platform/log.ts';
import { type Mailer, openConsole, openSmtp } from './platform/mailer.ts';
import { makeMetrics } from './platform/metrics.ts';
import { openDatabase } from './platform/postgres.ts';
import { makeAvailability } from './platform/postgres/pool/availability.ts';
import { openPool } from './platform/postgres/pool.ts';
import { openRedis } from './platform/redis.ts';

export type Infrastructure = ReturnType<typeof openInfrastructure>;

function openMailer({ mail }: Config): Mailer | undefined {
  if (mail?.kind === 'smtp') return openSmtp(mail);
  return mail && openConsole((text) => stdout.write(text));
}

/** Opens the resources of one process. Redis connects immediately; everything else connects when it is used. */
export function openInfrastructure(config: Config, log: Logger) {
  const metrics = makeMetrics(apiInfo.version);
  const databaseAvailability = makeAvailability({ log, countError: metrics.databaseFailed });
  const pool = openPool(config.database, metrics.waitedForConnection, databaseAvailability);
  const db = openDatabase(config.database, pool);
  const redis = config.redisUrl === undefined ? undefined : openRedis(config.redisUrl, log);
  const mailer = openMailer(config);
  return {
    metrics,
    databaseAvailability,
    pool,
    db,
    redis,
    /** Undefined if no emails are sent. */
    mailer,
    async close() {
      mailer?.close();
      redis?.close();
      await db.$disconnect();
    },
  };
}
