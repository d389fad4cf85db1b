// A proxy between a service and Postgres that understands their protocol and can withhold messages.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Withheld {
  /** The command tag of Postgres, such as `UPDATE 1`; empty if the statement did not reach Postgres. */
  tag: string;
  /** Closes the connection on both sides. */
  cut: () => void;
  /** Sends the withheld messages. */
  release: () => void;
}

export interface PostgresProxy {
  url: string;
  /** The texts of all executed statements, in order, including BEGIN and COMMIT. */
  statements: string[];
  /** Withholds the response to the next statement that matches. Resolves when Postgres has committed it. */
  withholdResponse(pattern: RegExp): Promise<Withheld>;
  /** Withholds the next statement that matches, so that it does not reach Postgres. */
  withholdStatement(pattern: RegExp): Promise<Withheld>;
  close(): Promise<void>;
}

interface Trap {
  pattern: RegExp;
  target: 'statement' | 'response';
  onSpring: (withheld: Withheld) => void;
}

type OnMessage = (type: string, body: Buffer, message: Buffer) => void;

/** Splits a stream into messages: a type byte, a length that includes itself, and a body. The startup message has no type. */
function makeFramer(startsUntyped: boolean, onMessage: OnMessage): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let untyped = startsUntyped;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const header = untyped ? 4 : 5;
      if (rest.length < header) return;
      const size = rest.readInt32BE(header - 4) + header - 4;
      if (rest.length < size) return;
      const [type, message] = [untyped ? 'startup' : String.fromCharCode(rest.readUInt8(0)), rest.subarray(0, size)];
      untyped = false;
      rest = rest.subarray(size);
      onMessage(type, message.subarray(header), message);
    }
  };
}

const textsOf = (body: Buffer): string[] => body.toString('latin1').split('\0');

function relay(client: Socket, server: Socket, statements: string[], traps: Set<Trap>): void {
  const prepared = new Map<string, string>();
  let bound = '';
  let trap: Trap | undefined;
  let tag = '';
  const withheld: Buffer[] = [];
  const spring = ({ target, onSpring }: Trap) =>
    onSpring({
      tag,
      cut() {
        client.destroy();
        server.destroy();
      },
      release() {
        trap = undefined;
        (target === 'statement' ? server : client).write(Buffer.concat(withheld.splice(0)));
      },
    });
  const arm = (text: string, target: Trap['target']) => {
    if (trap) return;
    trap = [...traps].find((candidate) => candidate.target === target && candidate.pattern.test(text));
    if (trap) traps.delete(trap);
  };

  const fromClient: OnMessage = (type, body, message) => {
    const [first = '', second = ''] = type === 'P' || type === 'B' || type === 'Q' ? textsOf(body) : [];
    if (type === 'P') prepared.set(first, second);
    if (type === 'P' || type === 'B') bound = type === 'P' ? second : (prepared.get(second) ?? '');
    if (type === 'Q') bound = first;
    if (type === 'P' || type === 'B' || type === 'Q') arm(bound, 'statement');
    if (type === 'E' || type === 'Q') {
      statements.push(bound);
      arm(bound, 'response');
    }
    if (trap?.target !== 'statement') return void server.write(message);
    withheld.push(message);
    if (type === 'S' || type === 'Q') spring(trap);
  };

  const fromServer: OnMessage = (type, body, message) => {
    if (trap?.target !== 'response') return void client.write(message);
    withheld.push(message);
    if (type === 'C') [tag = ''] = textsOf(body);
    if (type === 'Z') spring(trap); // ReadyForQuery: the statement is committed
  };

  client.on('data', makeFramer(true, fromClient));
  server.on('data', makeFramer(false, fromServer));
  for (const [end, other] of [
    [client, server],
    [server, client],
  ] as const) {
    end.setNoDelay(true);
    end.on('error', () => other.destroy());
    end.on('close', () => other.destroy());
  }
}

/** Starts a proxy in front of the Postgres of `databaseUrl`. */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const target = new URL(databaseUrl);
  const statements: string[] = [];
  const traps = new Set<Trap>();
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const socket of [client, server]) sockets.add(socket.once('close', () => sockets.delete(socket)));
    relay(client, server, statements, traps);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const withhold = (pattern: RegExp, kind: Trap['target']) =>
    new Promise<Withheld>((resolve) => traps.add({ pattern, target: kind, onSpring: resolve }));
  return {
    url: url.href,
    statements,
    withholdResponse: (pattern) => withhold(pattern, 'response'),
    withholdStatement: (pattern) => withhold(pattern, 'statement'),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
