import type { Server, ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server as TcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';

/** The TCP port that a server listens on. */
export const portOf = (server: TcpServer): number => (server.address() as AddressInfo).port;

/**
 * Reports early that a port is in use, because the server listens later. It connects instead of listening, so that no client meets a
 * port that opens and closes again. @throws if something accepts connections there; `listen` reports every other obstacle
 */
export async function requireFreePort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const socket = connect({ port, host: loopbackOf[host] ?? host, timeout: probeTimeoutMs });
  const isInUse = await new Promise<boolean>((resolve) => {
    // A socket that gets the free port as its own connects to itself.
    socket.once('connect', () => resolve(socket.localPort !== port)).once('error', () => resolve(false));
    socket.once('timeout', () => resolve(false));
  });
  socket.destroy();
  if (isInUse) throw Object.assign(new Error(`port ${port} is in use`), { code: 'EADDRINUSE', port });
}

/** Where a server that listens on all addresses can be reached. */
const loopbackOf: Partial<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

const probeTimeoutMs = 1000;

interface Traffic {
  sockets: Set<Socket>;
  responses: Set<ServerResponse>;
  isDraining: boolean;
}

const traffic = new WeakMap<Server, Traffic>();

/** Tracks connections and responses, so that `drain` can close the former and announce it in the latter. */
export function watchTraffic(server: Server): Server {
  const watched: Traffic = { sockets: new Set(), responses: new Set(), isDraining: false };
  const { sockets, responses } = watched;
  traffic.set(server, watched);
  return server
    .on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))))
    .on('request', (_, response) => {
      responses.add(response.once('close', () => responses.delete(response)));
      if (watched.isDraining) response.shouldKeepAlive = false;
    });
}

/** Closes idle connections, also those that were never used: Node waits for a first request on them. */
function closeUnused(server: Server): void {
  server.closeIdleConnections();
  for (const socket of traffic.get(server)?.sockets ?? []) if (socket.bytesRead === 0) socket.destroy();
}

/**
 * Adds `Connection: close` to the responses from now on, so that clients send no further request on their connections. A proxy without
 * health checks otherwise still uses them in the instant in which they are closed.
 */
export function announceClose(server: Server): void {
  const watched = traffic.get(server);
  if (!watched) return;
  watched.isDraining = true;
  for (const response of watched.responses) response.shouldKeepAlive = false;
}

/**
 * Stops a server: accepts no new connections, closes idle ones, finishes the requests in flight with `Connection: close`, and closes all connections after
 * `graceSeconds`. (`server.close()` alone waits until idle connections time out.)
 */
export function drain(server: Server, graceSeconds: number): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => closeUnused(server), 50);
    const cut = setTimeout(() => server.closeAllConnections(), graceSeconds * 1000);
    announceClose(server);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
    closeUnused(server);
  });
}

/** Waits for `work`, but at most `seconds`. Work that hangs ends with the process. */
export async function waitAtMost(seconds: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, sleep(seconds * 1000, undefined, { ref: false })]);
}

export interface RunningProcess {
  /** Rejects if the process can never become ready. */
  ready: Promise<void>;
  /** `hurry` aborts at a second signal, more than a second after the first. */
  stop(hurry: AbortSignal): Promise<void>;
}

/** Signals this soon after the first are the same one: a process group and npm each deliver it. */
const sameSignalMs = 1000;

/** Starts, waits for SIGTERM or SIGINT, stops and exits with 0. Prints one message and exits with 1 if the start fails. */
export async function runUntilSignaled(start: () => Promise<RunningProcess>): Promise<never> {
  const hurry = new AbortController();
  // The handlers stay, because the terminal and npm both send SIGINT on Ctrl-C and the second one must not interrupt the shutdown.
  const signaled = new Promise<void>((resolve) => {
    let firstAtMs: number | undefined;
    const receive = () => {
      firstAtMs ??= monotonicMs();
      if (monotonicMs() - firstAtMs > sameSignalMs) hurry.abort();
      resolve();
    };
    process.on('SIGTERM', receive).on('SIGINT', receive);
  });
  try {
    const running = await start();
    await Promise.race([signaled, running.ready.then(() => signaled)]);
    await running.stop(hurry.signal);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${describeFatalError(error)}\n`);
    process.exit(1);
  }
}

/** The message to print for an error that ends the process: what is wrong and what to do, or the stack of an unexpected error. */
export function describeFatalError(error: unknown): string {
  if (!(error instanceof Error)) return `Error: ${String(error)}`;
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') return `Error: Port ${port} is in use. Stop the other program, or set PORT.`;
  return error instanceof StartupError ? `Error: ${error.message}` : (error.stack ?? error.message);
}
