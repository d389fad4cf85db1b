// A proxy in front of Postgres that counts executed statements (Bind and Query messages).
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';

export interface CountingProxy {
  /** The URL of the database through the proxy. */
  url: string;
  statements(): number;
  close(): void;
}

const runs: ReadonlySet<string> = new Set(['B', 'Q']);
const typeBytes = 1;

/** Calls back for every complete message. The first has no type; all others begin with a letter, followed by the length. */
function readMessages(onMessage: (type: string) => void) {
  let pending = Buffer.alloc(0);
  let prefix = 0;
  return (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= prefix + 4) {
      const size = prefix + pending.readUInt32BE(prefix);
      if (pending.length < size) return;
      onMessage(pending.toString('latin1', 0, prefix));
      pending = pending.subarray(size);
      prefix = typeBytes;
    }
  };
}

export async function startCountingProxy(databaseUrl: string): Promise<CountingProxy> {
  const url = new URL(databaseUrl);
  const port = Number(url.port);
  let statements = 0;
  const server = createServer((client) => {
    const upstream = connect(port, url.hostname).setNoDelay();
    const count = readMessages((type) => (statements += runs.has(type) ? 1 : 0));
    client.setNoDelay().on('data', count);
    client.pipe(upstream).on('error', () => client.destroy());
    upstream.pipe(client).on('error', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.port = String((server.address() as AddressInfo).port);
  return { url: url.href, statements: () => statements, close: () => void server.close() };
}
