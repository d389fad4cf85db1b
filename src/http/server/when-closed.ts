import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const unclosed = new WeakMap<Socket, Set<() => void>>();

/** One listener a connection, however many requests a client sends on it at once. */
function unclosedOf(socket: Socket): Set<() => void> {
  const known = unclosed.get(socket);
  if (known) return known;
  const fresh = new Set<() => void>();
  unclosed.set(socket, fresh);
  socket.once('close', () => {
    for (const close of fresh) close();
  });
  return fresh;
}

/**
 * Tells once that a response is over, sent or not; at once where it is. Node closes only the response whose turn it is:
 * those that wait behind it on a connection (pipelining) would never hear that the connection has ended.
 */
export function whenClosed({ socket }: IncomingMessage, res: ServerResponse, tell: () => void): void {
  if (res.closed || socket.destroyed) return tell();
  const others = unclosedOf(socket);
  const close = () => {
    if (others.delete(close)) tell();
  };
  others.add(close);
  res.once('close', close);
}
