import { createClient, type RedisClientType } from 'redis';

const ANSWER_WITHIN_MS = 5000;

/** Runs `use` on a connection of its own. A server that is not there, or does not answer, is an error at once. */
export async function withRedis<Result>(url: string, use: (client: RedisClientType) => Promise<Result>) {
  const client: RedisClientType = createClient({
    url,
    commandOptions: { timeout: ANSWER_WITHIN_MS },
    socket: { connectTimeout: ANSWER_WITHIN_MS, reconnectStrategy: false },
  });
  client.on('error', () => {}); // connect() and the commands reject with it
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}
