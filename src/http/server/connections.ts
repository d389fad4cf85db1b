import type { Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { monotonicMs } from '../../lib/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { openFilesMax } from '../../platform/process/open-files.ts';

/** How long the service waits for clients, and how many connections it keeps. */
export interface ConnectionLimits {
  /** For the headers of a request, from its first byte or from the start of the connection. */
  headersMs: number;
  /** For a whole request including its body. */
  requestMs: number;
  /** For the next request after a response. */
  keepAliveMs: number;
  /** For the client to read a response. */
  responseMs: number;
  /** For the client to read why its request was refused, before the connection is closed. */
  lingerMs: number;
  /** Interval of the checks, and therefore their maximum delay. */
  sweepMs: number;
  maxConnections: number;
}

export const defaultLimits: ConnectionLimits = {
  headersMs: 10_000,
  requestMs: 20_000,
  // Longer than load balancers keep idle connections (AWS and nginx 60 s, Google 600 s). Otherwise this side could close a
  // connection just as a proxy sends a request on it, and the client would receive a 502.
  keepAliveMs: 620_000,
  responseMs: 30_000,
  lingerMs: 1000,
  sweepMs: 1000,
  // More than the proxies in front of one process keep open. If an attacker opens them all, they take about 70 MB.
  maxConnections: 4096,
};

const maxHeaderBytes = 16 * 1024;

/** The limits that Node enforces. */
export const serverOptions = (limits: ConnectionLimits): ServerOptions => ({
  headersTimeout: limits.headersMs,
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.keepAliveMs,
  connectionsCheckingInterval: limits.sweepMs,
  maxHeaderSize: maxHeaderBytes,
});

export interface Connection {
  readonly socket: Socket;
  /** The responses that are not completely sent, in order. */
  readonly pending: Set<ServerResponse>;
  /** The response to the latest request. */
  latest: ServerResponse | undefined;
  /** The last progress of the client: it connected, sent the headers of a request, or read a response. */
  lastProgressMs: number;
  /** The client was sent an error. What it still sends is discarded, so that it can read the error. */
  refused: boolean;
}

/** Whether the client waits for the service, rather than the service for the client. */
export const isInProgress = (response: ServerResponse): boolean => response.req.complete && !response.writableEnded;

/** How long a connection that waits for its client may make no progress. */
function maxIdleMs({ refused, pending, latest }: Connection, limits: ConnectionLimits): number {
  if (refused) return limits.lingerMs;
  if (latest && !latest.req.complete) return Infinity; // Node enforces requestMs from the first byte of the headers
  // Node's own timeout restarts with every byte, even with the empty lines that may precede a request.
  return pending.size > 0 ? limits.responseMs : limits.keepAliveMs + limits.headersMs;
}

/** Logs at most one line per minute. */
function rareWarning(log: Logger | undefined, message: string) {
  let lastLoggedMs = -Infinity;
  return (facts: object) => {
    if (monotonicMs() - lastLoggedMs < 60_000) return;
    lastLoggedMs = monotonicMs();
    log?.warn(facts, message);
  };
}

/** The open connections, ordered by the last progress of their clients. */
class Connections {
  readonly #bySocket = new Map<unknown, Connection>();

  get size(): number {
    return this.#bySocket.size;
  }

  of(socket: unknown): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  add(socket: Socket): void {
    this.#bySocket.set(socket, {
      socket,
      pending: new Set(),
      latest: undefined,
      lastProgressMs: monotonicMs(),
      refused: false,
    });
    socket.once('close', () => this.#bySocket.delete(socket));
  }

  begin(connection: Connection, response: ServerResponse): void {
    connection.latest = response;
    connection.pending.add(response);
    this.#recordProgress(connection);
    response.once('close', () => {
      connection.pending.delete(response);
      this.#recordProgress(connection);
    });
  }

  /** Closes the connection that has been idle longest. Returns false if requests are in progress on all of them. */
  closeOneIdle(): boolean {
    for (const connection of this.#bySocket.values()) if (!isBusy(connection)) return this.#close(connection);
    return false;
  }

  closeIdleLongerThan(limits: ConnectionLimits): void {
    const nowMs = monotonicMs();
    for (const connection of this.#bySocket.values()) {
      if (isBusy(connection)) connection.lastProgressMs = nowMs;
      else if (nowMs - connection.lastProgressMs > maxIdleMs(connection, limits)) this.#close(connection);
    }
  }

  #recordProgress(connection: Connection): void {
    connection.lastProgressMs = monotonicMs();
    if (this.#bySocket.delete(connection.socket)) this.#bySocket.set(connection.socket, connection);
  }

  #close({ socket }: Connection): true {
    this.#bySocket.delete(socket);
    socket.destroy();
    return true;
  }
}

function isBusy({ pending }: Connection): boolean {
  for (const response of pending) if (isInProgress(response)) return true;
  return false;
}

/**
 * Limits the number of connections and how long each can be idle. Beyond the limit, the connection that has been idle longest is closed
 * for the new one, so a client that hoards connections cannot block others. Single bytes are not progress. Connections with a request in progress are
 * never closed.
 */
export function limitConnections(server: Server, limits: ConnectionLimits, log?: Logger): Connections {
  const connections = new Connections();
  // The other half of the process's files is reserved for Postgres and everything else.
  const maxConnections = Math.min(limits.maxConnections, Math.floor(openFilesMax() / 2));
  const warnOfLimit = rareWarning(log, 'too many connections: idle ones are closed to make room');
  const warnOfAccept = rareWarning(log, 'a connection could not be accepted');

  server.on('connection', (socket) => {
    if (connections.size >= maxConnections) {
      warnOfLimit({ connections: maxConnections });
      if (!connections.closeOneIdle()) return void socket.destroy();
    }
    connections.add(socket);
  });
  server.on('request', ({ socket }, response) => {
    const connection = connections.of(socket);
    if (connection) connections.begin(connection, response);
  });
  // Without a listener, a failed accept would end the process.
  server.once('listening', () => server.on('error', (err) => warnOfAccept({ err })));
  const sweep = setInterval(() => connections.closeIdleLongerThan(limits), limits.sweepMs).unref();
  server.once('close', () => clearInterval(sweep));
  return connections;
}
