// A TCP gate in front of Postgres, for what a network does to a database.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Gate {
  /** The database's URL, through the gate. */
  url: string;
  /** Lets everything pass; connections of an earlier state are cut. */
  open(): void;
  /** Cuts every connection, and every new one. */
  refuse(): void;
  /** Keeps the connections and takes new ones, and nothing comes through any more, either way. */
  swallow(): void;
  /** From now on to another server. */
  leadTo(databaseUrl: string): void;
  close(): Promise<void>;
}

type State = 'open' | 'refusing' | 'swallowing';

export async function startGate(databaseUrl: string): Promise<Gate> {
  let target = new URL(databaseUrl);
  let state: State = 'open';
  const sockets = new Set<Socket>();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', (chunk) => state === 'open' && to.write(chunk));
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    if (state === 'refusing') return void client.destroy();
    const database = connect(Number(target.port), target.hostname);
    pass(client, database);
    pass(database, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  const become = (next: State) => {
    state = next;
    if (next !== 'swallowing') cut();
  };
  return {
    url: url.href,
    open: () => become('open'),
    refuse: () => become('refusing'),
    swallow: () => become('swallowing'),
    leadTo: (other) => void (target = new URL(other)),
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
