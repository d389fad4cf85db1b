import { once } from 'node:events';
import type { Server } from 'node:http';

/**
 * Stops a server: no new connections, requests in flight finish, idle keep-alive connections go at once, what is left
 * after `graceSeconds` is cut. (`server.close()` alone waits for a keep-alive connection to time out.)
 */
export function drain(server: Server, graceSeconds: number): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), graceSeconds * 1000);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A fault that its message explains to the operator; a stack would only hide it. */
export class StartRefused extends Error {}

export interface Running {
  /** Rejects where the process can never do its work. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** Starts, waits for SIGTERM or SIGINT, stops, and exits 0; exits 1 with one message where it cannot start. */
export async function runUntilSignalled(start: () => Promise<Running>): Promise<never> {
  const signals = ['SIGTERM', 'SIGINT'] as const;
  const signalled = Promise.race(signals.map((signal) => once(process, signal)));
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

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') return `Port ${port} is taken by another program: stop it, or set PORT.`;
  return error instanceof StartRefused ? error.message : (error.stack ?? error.message);
}
