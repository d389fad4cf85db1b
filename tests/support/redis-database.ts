import { published } from './published.ts';
import { withRedis } from './redis-client.ts';

export interface RedisDatabase {
  /** Names the server and the database. */
  url: string;
  drop(): Promise<void>;
}

const CLAIM = 'keyturn-tests:claim';
const CLAIM_LASTS_SECONDS = 3600; // should its test be killed

/**
 * A database for the caller alone, on the Redis that global-setup.ts started or that REDIS_URL names. It was empty, so
 * that what somebody keeps on that server is left alone; now it holds one key, which says that it is taken.
 */
export async function createRedisDatabase(): Promise<RedisDatabase> {
  const refusal = process.env['TEST_REDIS_REFUSAL'];
  if (refusal && !process.env['TEST_REDIS_URL']) throw new Error(refusal);
  const url = new URL(published('TEST_REDIS_URL'));
  url.pathname = `/${await claimEmptyDatabase(url.href)}`;
  return { url: url.href, drop: () => withRedis(url.href, async (client) => void (await client.flushDb())) };
}

const claimEmptyDatabase = (server: string): Promise<number> =>
  withRedis(server, async (client) => {
    const expiration = { type: 'EX', value: CLAIM_LASTS_SECONDS } as const;
    for (let index = 0; ; index++) {
      await client.select(index).catch((cause: unknown) => {
        throw new Error(`none of the ${index} databases of the tests' Redis is empty`, { cause });
      });
      const isEmpty = (await client.dbSize()) === 0;
      if (isEmpty && (await client.set(CLAIM, '', { condition: 'NX', expiration }))) return index;
    }
  });
