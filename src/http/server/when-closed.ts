import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The listeners of each connection. The connection itself gets one, however many requests a client pipelines on it. */
const listenersBySocket = new WeakMap<Socket, Set<() => void>>();

function listenersOf(socket: Socket): Set<() => void> {
  const known = listenersBySocket.get(socket);
  if (known) return known;
  const listeners = new Set<() => void>();
  listenersBySocket.set(socket, listeners);
  socket.once('close', () => {
    for (const listener of listeners) listener();
  });
  return listeners;
}

/**
 * Calls `listener` once when the response was sent or its connection has ended; immediately if it already has. When a connection ends,
 * Node emits `close` only for the response that is being sent, not for the pipelined ones behind it.
 */
export function whenClosed({ socket }: IncomingMessage, res: ServerResponse, listener: () => void): void {
  if (res.closed || socket.destroyed) return listener();
  const listeners = listenersOf(socket);
  const close = () => {
    if (listeners.delete(close)) listener();
  };
  listeners.add(close);
  res.once('close', close);
}
