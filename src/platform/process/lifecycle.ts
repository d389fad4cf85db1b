import type { Server } from 'node:http';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../../lib/errors.ts';

/** The TCP port that a server listens on. */
export const portOf = (server: TcpServer): number => (server.address() as AddressInfo).port;

const connections = new WeakMap<Server, Set<Socket>>();

/** Tracks connections, so that `drain` can close those that were never used. Node waits for a first request on them. */
export function watchConnections(server: Server): Server {
  const sockets = new Set<Socket>();
  connections.set(server, sockets);
  return server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
}

function closeUnused(server: Server): void {
  server.closeIdleConnections();
  for (const socket of connections.get(server) ?? []) if (socket.bytesRead === 0) socket.destroy();
}

/**
 * Stops a server: accepts no new connections, closes idle ones, finishes the requests in flight, and closes all connections after
 * `graceSeconds`. (`server.close()` alone waits until idle connections time out.)
 */
export function drain(server: Server, graceSeconds: number): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => closeUnused(server), 50);
    const cut = setTimeout(() => server.closeAllConnections(), graceSeconds * 1000);
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
  stop(): Promise<void>;
}

/** Starts, waits for SIGTERM or SIGINT, stops and exits with 0. Prints one message and exits with 1 if the start fails. */
export async function runUntilSignaled(start: () => Promise<RunningProcess>): Promise<never> {
  // The handlers stay, because the terminal and npm both send SIGINT on Ctrl-C and the second one must not interrupt the shutdown.
  const signaled = new Promise<void>((resolve) => process.on('SIGTERM', resolve).on('SIGINT', resolve));
  try {
    const running = await start();
    await Promise.race([signaled, running.ready.then(() => signaled)]);
    await running.stop();
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
