import { createClient, type RedisClientType } from 'redis';

const TIMEOUT_MS = 5000;

/** Runs `use` on a new connection. Rejects if the server is down or does not reply in time. */
export async function withRedis<Result>(url: string, use: (client: RedisClientType) => Promise<Result>) {
  const client: RedisClientType = createClient({
    url,
    commandOptions: { timeout: TIMEOUT_MS },
    socket: { connectTimeout: TIMEOUT_MS, reconnectStrategy: false },
  });
  client.on('error', () => {}); // connect() and the commands also reject with the error
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}
