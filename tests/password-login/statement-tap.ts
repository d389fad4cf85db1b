import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface StatementTap {
  /** The database, by way of the tap. */
  url: string;
  /** The names of the statements that ran since the last reset, in order; unnamed ones and plain queries by their text. */
  statements(): string[];
  reset(): void;
  close(): Promise<void>;
}

/** A wire between a service and Postgres that notes which statements pass (protocol 3, section "Message Formats"). */
export async function startStatementTap(databaseUrl: string): Promise<StatementTap> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let seen: string[] = [];

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const read = makeReader((statement) => seen.push(statement));
    for (const socket of [client, upstream]) sockets.add(socket.setNoDelay().on('error', () => {}));
    client.on('data', read);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const url = new URL(databaseUrl);
  [url.hostname, url.port] = ['127.0.0.1', String((server.address() as AddressInfo).port)];
  return {
    url: url.href,
    statements: () => [...seen],
    reset: () => void (seen = []),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Cuts a client's bytes into messages, and tells of each Query and each Bind. */
function makeReader(tell: (statement: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let greeted = false; // the first message has no type
  let unnamed = '';
  const text = (bytes: Buffer, from: number) => bytes.toString('utf8', from, bytes.indexOf(0, from));

  const message = (type: string, body: Buffer) => {
    if (type === 'Q') tell(text(body, 0));
    if (type === 'P' && body[0] === 0) unnamed = text(body, 1);
    if (type === 'B') tell(text(body, body.indexOf(0) + 1) || unnamed);
  };

  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = greeted ? 1 : 0;
      if (rest.length < head + 4) return;
      const end = head + rest.readUInt32BE(head);
      if (rest.length < end) return;
      if (greeted) message(String.fromCharCode(rest[0] ?? 0), rest.subarray(5, end));
      greeted = true;
      rest = rest.subarray(end);
    }
  };
}
