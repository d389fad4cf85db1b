// Holds many connections to a service open in a separate process, so that the measuring process is not busy.
import { connect, type Socket } from 'node:net';

export interface AttackPlan {
  port: number;
  connections: number;
  /** Sent once on each connection. */
  opening: string;
  /** Sent repeatedly after it; nothing if empty. */
  drip: string;
  everyMs: number;
  /** Replaces each connection that the service closes. */
  reconnects: boolean;
  /** Whether the client never reads. */
  neverReads: boolean;
  /** Resets its connection after this time. */
  abortsAfterMs?: number;
}

export interface AttackReport {
  /** Open connections. */
  open: number;
  /** Connections that the service or its host closed. */
  ended: number;
  /** Number of responses by status. */
  responses: Record<string, number>;
}

const open = new Set<Socket>();
const responses: Record<string, number> = {};
let ended = 0;

function count(text: string): void {
  for (const [, status = ''] of text.matchAll(/HTTP\/1\.1 (\d{3})/g)) responses[status] = (responses[status] ?? 0) + 1;
}

/** Resolves once it is open or has failed. */
function openOne(plan: AttackPlan): Promise<void> {
  const { port, opening, neverReads, abortsAfterMs, reconnects } = plan;
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    if (neverReads) socket.pause();
    else socket.setEncoding('latin1').on('data', count);
    socket.on('error', () => {});
    socket.once('connect', () => {
      open.add(socket);
      if (opening) socket.write(opening);
      if (abortsAfterMs !== undefined) setTimeout(() => socket.resetAndDestroy(), abortsAfterMs);
      resolve();
    });
    socket.once('close', () => {
      ended += 1;
      open.delete(socket);
      resolve();
      if (reconnects) setTimeout(() => void openOne(plan), reopensAfterMs);
    });
  });
}

/** A flood of new connections is another attack. */
const reopensAfterMs = 100;

/** The backlog of a listening socket: more connections would only wait for SYN retransmission. */
const atOnce = 200;

async function attack(plan: AttackPlan): Promise<void> {
  for (let opened = 0; opened < plan.connections; opened += atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, plan.connections - opened) }, () => openOne(plan)));
  if (!plan.drip) return;
  setInterval(() => {
    for (const socket of open) if (socket.writable) socket.write(plan.drip);
  }, plan.everyMs);
}

const report = (): AttackReport => ({ open: open.size, ended, responses });

process.once('disconnect', () => process.exit());
process.on('message', (message: AttackPlan | 'report' | 'stop') => {
  if (message === 'report') return void process.send?.(report());
  if (message === 'stop') {
    for (const socket of open) socket.resetAndDestroy();
    return process.disconnect();
  }
  void attack(message).then(() => process.send?.(report()));
});
