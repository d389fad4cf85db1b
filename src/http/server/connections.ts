import type { Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { monotonicMs } from '../../lib/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { openFilesMax } from '../../platform/process/open-files.ts';

/** How long the service waits for a client, and for how many at once. */
export interface ConnectionLimits {
  /** For a request's headers, from its first byte or from the begin of the connection. */
  headersMs: number;
  /** For a whole request, body and all. */
  requestMs: number;
  /** For the next request, after an answer. */
  keepAliveMs: number;
  /** For a client to take its answer. */
  answerMs: number;
  /** For a client to hear why it is refused, before its connection is cut. */
  lingerMs: number;
  /** How often all of that is looked after, so how late it may be. */
  sweepMs: number;
  /** Connections at once. */
  connectionsMax: number;
}

export const defaultLimits: ConnectionLimits = {
  headersMs: 10_000,
  requestMs: 20_000,
  // Longer than a load balancer keeps an idle connection (AWS and nginx 60 s, Google 600 s). Were it shorter, we could
  // close one just as a proxy sends a request on it, and its client would see a 502. The bound below makes room.
  keepAliveMs: 620_000,
  answerMs: 30_000,
  lingerMs: 1000,
  sweepMs: 1000,
  // More than the proxies in front of one process hold open, and some 70 MB when an attacker holds them all.
  connectionsMax: 4096,
};

const headersMaxBytes = 16 * 1024;

/** What Node looks after by itself. */
export const serverOptions = (limits: ConnectionLimits): ServerOptions => ({
  headersTimeout: limits.headersMs,
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.keepAliveMs,
  connectionsCheckingInterval: limits.sweepMs,
  maxHeaderSize: headersMaxBytes,
});

export interface Connection {
  readonly socket: Socket;
  /** What has not left yet, in order. */
  readonly answers: Set<ServerResponse>;
  /** To the last request that began. */
  latest: ServerResponse | undefined;
  /** When its client last got on: connected, brought a request's headers, or took an answer. */
  movedMs: number;
  /** It was told why; what it still sends is read, so that it can hear that, and dropped. */
  refused: boolean;
}

/** Whether it waits for the service: not for its client to send the rest, or to take the answer. */
export const isServed = (answer: ServerResponse): boolean => answer.req.complete && !answer.writableEnded;

/** How long a connection that waits for its client may rest. */
function restMaxMs({ refused, answers, latest }: Connection, limits: ConnectionLimits): number {
  if (refused) return limits.lingerMs;
  if (latest && !latest.req.complete) return Infinity; // Node counts requestMs from the first byte of its headers
  // Node's own time-out begins anew with every byte, even with the empty lines that may come before a request.
  return answers.size > 0 ? limits.answerMs : limits.keepAliveMs + limits.headersMs;
}

/** At most one line a minute. */
function warnRarely(log: Logger | undefined, message: string) {
  let lastMs = -Infinity;
  return (facts: object) => {
    if (monotonicMs() - lastMs < 60_000) return;
    lastMs = monotonicMs();
    log?.warn(facts, message);
  };
}

/** Every open connection, the one whose client has rested longest first. */
class Connections {
  readonly #bySocket = new Map<unknown, Connection>();

  get size(): number {
    return this.#bySocket.size;
  }

  of(socket: unknown): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  add(socket: Socket): void {
    const fresh = { answers: new Set<ServerResponse>(), latest: undefined, refused: false };
    this.#bySocket.set(socket, { socket, ...fresh, movedMs: monotonicMs() });
    socket.once('close', () => this.#bySocket.delete(socket));
  }

  moved(connection: Connection): void {
    connection.movedMs = monotonicMs();
    if (this.#bySocket.delete(connection.socket)) this.#bySocket.set(connection.socket, connection);
  }

  begin(connection: Connection, answer: ServerResponse): void {
    connection.latest = answer;
    connection.answers.add(answer);
    this.moved(connection);
    answer.once('close', () => {
      connection.answers.delete(answer);
      this.moved(connection);
    });
  }

  /** Cuts the one that has rested longest. False where all are being served. */
  dropOne(): boolean {
    for (const connection of this.#bySocket.values()) if (!this.#isServed(connection)) return this.#drop(connection);
    return false;
  }

  dropRested(limits: ConnectionLimits): void {
    const nowMs = monotonicMs();
    for (const connection of this.#bySocket.values()) {
      if (this.#isServed(connection)) connection.movedMs = nowMs;
      else if (nowMs - connection.movedMs > restMaxMs(connection, limits)) this.#drop(connection);
    }
  }

  #isServed({ answers }: Connection): boolean {
    for (const answer of answers) if (isServed(answer)) return true;
    return false;
  }

  #drop({ socket }: Connection): true {
    this.#bySocket.delete(socket);
    socket.destroy();
    return true;
  }
}

/**
 * Bounds how many connections there are, and how long each may rest. Over the bound, the one whose client has rested
 * longest makes room for the new one: who hoards them shuts nobody out. Bytes that drip are rest; a request that is
 * being served is never cut.
 */
export function boundConnections(server: Server, limits: ConnectionLimits, log?: Logger): Connections {
  const connections = new Connections();
  // The other half of the files that the process may open is for Postgres and the rest.
  const connectionsMax = Math.min(limits.connectionsMax, Math.floor(openFilesMax() / 2));
  const warnOfCrowd = warnRarely(log, 'too many connections: those that rest make room for new ones');
  const warnOfAccept = warnRarely(log, 'a connection could not be accepted');

  server.on('connection', (socket) => {
    if (connections.size >= connectionsMax) {
      warnOfCrowd({ connections: connectionsMax });
      if (!connections.dropOne()) return void socket.destroy();
    }
    connections.add(socket);
  });
  server.on('request', ({ socket }, answer) => {
    const connection = connections.of(socket);
    if (connection) connections.begin(connection, answer);
  });
  // Without a listener, an accept that fails would end the process.
  server.once('listening', () => server.on('error', (err) => warnOfAccept({ err })));
  const sweep = setInterval(() => connections.dropRested(limits), limits.sweepMs).unref();
  server.once('close', () => clearInterval(sweep));
  return connections;
}
