// A TCP proxy in front of Postgres that simulates network failures.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Gate {
  /** URL of the database through the proxy. */
  url: string;
  /** The number of connections that were refused. */
  refused(): number;
  /** Forwards everything. Closes all existing connections. */
  open(): void;
  /** Closes existing and new connections. */
  refuse(): void;
  /** Keeps connections and accepts new ones, but forwards nothing. */
  hang(): void;
  /** Keeps existing connections silent on both sides, as a firewall does that has forgotten them. Forwards new ones. */
  loseExisting(): void;
  /** Forwards to another server from now on. */
  redirectTo(databaseUrl: string): void;
  close(): Promise<void>;
}

type State = 'open' | 'refusing' | 'silent';

export async function startGate(databaseUrl: string): Promise<Gate> {
  let target = new URL(databaseUrl);
  let state: State = 'open';
  let refused = 0;
  const sockets = new Set<Socket>();
  const lost = new WeakSet<Socket>();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const forward = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', (chunk) => state === 'open' && !lost.has(from) && to.write(chunk));
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      if (!lost.has(from)) to.destroy();
    });
  };
  const server = createServer((client) => {
    if (state === 'refusing') {
      refused += 1;
      return void client.destroy();
    }
    const database = connect(Number(target.port), target.hostname);
    forward(client, database);
    forward(database, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  const become = (next: State) => {
    state = next;
    if (next !== 'silent') cut();
  };
  return {
    url: url.href,
    refused: () => refused,
    open: () => become('open'),
    refuse: () => become('refusing'),
    hang: () => become('silent'),
    loseExisting() {
      for (const socket of sockets) lost.add(socket);
    },
    redirectTo: (other) => void (target = new URL(other)),
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
