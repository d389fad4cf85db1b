import { published } from './published.ts';
import { withRedis } from './redis-client.ts';

export interface RedisDatabase {
  /** The URL of the server with the number of the database. */
  url: string;
  drop(): Promise<void>;
}

const CLAIM = 'keyturn-tests:claim';
const CLAIM_TTL_SECONDS = 3600; // in case the test is killed

/**
 * Claims an empty database on the Redis of global-setup.ts or REDIS_URL for the caller. Databases that contain data of others
 * are not used. The claim is a key in the database.
 */
export async function createRedisDatabase(): Promise<RedisDatabase> {
  const unavailableReason = process.env['TEST_REDIS_ERROR'];
  if (unavailableReason && !process.env['TEST_REDIS_URL']) throw new Error(unavailableReason);
  const url = new URL(published('TEST_REDIS_URL'));
  url.pathname = `/${await claimEmptyDatabase(url.href)}`;
  return { url: url.href, drop: () => withRedis(url.href, async (client) => void (await client.flushDb())) };
}

const claimEmptyDatabase = (server: string): Promise<number> =>
  withRedis(server, async (client) => {
    const expiration = { type: 'EX', value: CLAIM_TTL_SECONDS } as const;
    for (let index = 0; ; index++) {
      await client.select(index).catch((cause: unknown) => {
        throw new Error(`the test Redis has ${index} databases, and none is empty`, { cause });
      });
      const isEmpty = (await client.dbSize()) === 0;
      if (isEmpty && (await client.set(CLAIM, '', { condition: 'NX', expiration }))) return index;
    }
  });
