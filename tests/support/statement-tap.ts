import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface StatementTap {
  /** The URL of the database through the tap. */
  url: string;
  /** Names of the statements since the last reset, in order; the texts of unnamed statements and simple queries. */
  statements(): string[];
  reset(): void;
  close(): Promise<void>;
}

/** A proxy between a service and Postgres that records statements (protocol 3, section "Message Formats"). */
export async function startStatementTap(databaseUrl: string): Promise<StatementTap> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let statements: string[] = [];

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const read = makeReader((statement) => statements.push(statement));
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
    statements: () => [...statements],
    reset: () => void (statements = []),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Splits a client's bytes into messages and reports each Query and Bind. */
function makeReader(report: (statement: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let hasStarted = false; // The first message has no type.
  let unnamed = '';
  const text = (bytes: Buffer, from: number) => bytes.toString('utf8', from, bytes.indexOf(0, from));

  const message = (type: string, body: Buffer) => {
    if (type === 'Q') report(text(body, 0));
    if (type === 'P' && body[0] === 0) unnamed = text(body, 1);
    if (type === 'B') report(text(body, body.indexOf(0) + 1) || unnamed);
  };

  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = hasStarted ? 1 : 0;
      if (rest.length < head + 4) return;
      const end = head + rest.readUInt32BE(head);
      if (rest.length < end) return;
      if (hasStarted) message(String.fromCharCode(rest[0] ?? 0), rest.subarray(5, end));
      hasStarted = true;
      rest = rest.subarray(end);
    }
  };
}
