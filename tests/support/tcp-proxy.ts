// Stands between a service and Postgres, follows their protocol, and loses messages when it is told to.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Withheld {
  /** Postgres' command tag, such as `UPDATE 1`; empty where the statement never reached it. */
  tag: string;
  /** Cuts the connection that it happened on, to both sides. */
  cut: () => void;
  /** Lets go of what was held back. */
  release: () => void;
}

export interface PostgresProxy {
  url: string;
  /** The text of every statement that clients had executed, in order; a BEGIN or COMMIT counts as one. */
  statements: string[];
  /** Holds back the server's answer to the next statement like this. Resolves when the server has committed it. */
  withholdAnswer(pattern: RegExp): Promise<Withheld>;
  /** Holds back the next statement like this, so that the server never sees it. */
  withholdStatement(pattern: RegExp): Promise<Withheld>;
  close(): Promise<void>;
}

interface Trap {
  pattern: RegExp;
  what: 'statement' | 'answer';
  spring: (withheld: Withheld) => void;
}

type OnMessage = (type: string, body: Buffer, whole: Buffer) => void;

/** Cuts a stream into messages: a type byte, a length that counts itself, a body. The start-up message has no type. */
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
      const [type, whole] = [untyped ? 'startup' : String.fromCharCode(rest.readUInt8(0)), rest.subarray(0, size)];
      untyped = false;
      rest = rest.subarray(size);
      onMessage(type, whole.subarray(header), whole);
    }
  };
}

const textsOf = (body: Buffer): string[] => body.toString('latin1').split('\0');

function relay(client: Socket, server: Socket, statements: string[], traps: Set<Trap>): void {
  const prepared = new Map<string, string>();
  let bound = '';
  let trap: Trap | undefined;
  let tag = '';
  const held: Buffer[] = [];
  const spring = ({ what, spring: tell }: Trap) =>
    tell({
      tag,
      cut() {
        client.destroy();
        server.destroy();
      },
      release() {
        trap = undefined;
        (what === 'statement' ? server : client).write(Buffer.concat(held.splice(0)));
      },
    });
  const arm = (text: string, what: Trap['what']) => {
    if (trap) return;
    trap = [...traps].find((candidate) => candidate.what === what && candidate.pattern.test(text));
    if (trap) traps.delete(trap);
  };

  const fromClient: OnMessage = (type, body, whole) => {
    const [first = '', second = ''] = type === 'P' || type === 'B' || type === 'Q' ? textsOf(body) : [];
    if (type === 'P') prepared.set(first, second);
    if (type === 'P' || type === 'B') bound = type === 'P' ? second : (prepared.get(second) ?? '');
    if (type === 'Q') bound = first;
    if (type === 'P' || type === 'B' || type === 'Q') arm(bound, 'statement');
    if (type === 'E' || type === 'Q') {
      statements.push(bound);
      arm(bound, 'answer');
    }
    if (trap?.what !== 'statement') return void server.write(whole);
    held.push(whole);
    if (type === 'S' || type === 'Q') spring(trap);
  };

  const fromServer: OnMessage = (type, body, whole) => {
    if (trap?.what !== 'answer') return void client.write(whole);
    held.push(whole);
    if (type === 'C') [tag = ''] = textsOf(body);
    if (type === 'Z') spring(trap); // ready for the next one: this one is committed
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

/** A proxy in front of the Postgres that `databaseUrl` names. */
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
  const set = (pattern: RegExp, what: Trap['what']) =>
    new Promise<Withheld>((spring) => traps.add({ pattern, what, spring }));
  return {
    url: url.href,
    statements,
    withholdAnswer: (pattern) => set(pattern, 'answer'),
    withholdStatement: (pattern) => set(pattern, 'statement'),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
