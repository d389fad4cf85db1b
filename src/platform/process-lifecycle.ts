import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../lib/errors.ts';

const connections = new WeakMap<Server, Set<Socket>>();

/** Lets `drain` end what was opened in advance and never used, which Node takes for a request that is about to come. */
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
 * Stops a server: no new connections, requests in flight finish, idle keep-alive connections go at once, what is left
 * after `graceSeconds` is cut. (`server.close()` alone waits for a keep-alive connection to time out.)
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

/** Waits for `work`, but no longer than `seconds`: what hangs then ends with the process. */
export async function waitAtMost(seconds: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, sleep(seconds * 1000, undefined, { ref: false })]);
}

export interface Running {
  /** Rejects where the process can never do its work. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** Starts, waits for SIGTERM or SIGINT, stops, and exits 0; exits 1 with one message where it cannot start. */
export async function runUntilSignalled(start: () => Promise<Running>): Promise<never> {
  // Kept listening: a terminal and npm both pass Ctrl-C on, and the second must not cut what the first began.
  const signalled = new Promise<void>((resolve) => process.on('SIGTERM', resolve).on('SIGINT', resolve));
  try {
    const running = await start();
    await Promise.race([signalled, running.ready.then(() => signalled)]);
    await running.stop();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(1);
  }
}

/** What to tell the operator of a fault that ends the process. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') return `Port ${port} is taken by another program: stop it, or set PORT.`;
  return error instanceof StartupError ? error.message : (error.stack ?? error.message);
}
