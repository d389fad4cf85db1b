import pg from 'pg';
import type { Socket } from 'node:net';

/** What `pg` does not declare. */
type Parsing = pg.Connection & { attachListeners(stream: Socket): void };

/**
 * Makes a client that is not connected yet. `pg` throws at a message that it cannot parse, in a handler of the socket, where it would end
 * the process. Here only the connection ends, with that error.
 */
export function makeClient(config: pg.ClientConfig): pg.Client {
  const client = new pg.Client(config);
  const { connection } = client as unknown as { connection: Parsing };
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    attach(stream);
    for (const parse of stream.listeners('data')) {
      stream.off('data', parse as (chunk: Buffer) => void);
      stream.on('data', (chunk) => {
        try {
          parse(chunk);
        } catch (error) {
          stream.destroy(error as Error);
        }
      });
    }
  };
  return client;
}
