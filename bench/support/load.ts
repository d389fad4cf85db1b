// Generates load in a separate process: each keep-alive connection sends a refresh when the previous response has arrived.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Load {
  port: number;
  connections: number;
  /** The load ends after this time, or after `maxRefreshes` refreshes. */
  seconds: number;
  maxRefreshes?: number;
}

export interface LoadResult {
  refreshes: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

/** A queue of the newest token of every session, so that no session is refreshed twice in a row. */
const tokens: string[] = [];
let [taken, returned] = [0, 0];

function takeToken(): string {
  const token = tokens[taken];
  if (token === undefined) throw new Error('no session is left to refresh');
  taken = (taken + 1) % tokens.length;
  return token;
}

function returnToken(token: string): void {
  tokens[returned] = token;
  returned = (returned + 1) % tokens.length;
}

/** Sends a request and waits for its response. A connection has one exchange at a time. */
async function exchange(socket: Socket, body: string): Promise<string> {
  const head = 'POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n';
  socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  for (let received = ''; ;) {
    const [chunk] = (await once(socket, 'data')) as [string];
    received += chunk;
    const body = bodyOf(received);
    if (body !== undefined) return body;
  }
}

/** The body of a complete response, with Content-Length or in chunks; undefined if the response is incomplete. */
function bodyOf(received: string): string | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [head, rest] = [received.slice(0, end), received.slice(end + 4)];
  if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`not refreshed: ${received}`);
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
  if (length !== undefined) return rest.length >= Number(length) ? rest : undefined;
  if (!rest.endsWith('\r\n0\r\n\r\n')) return undefined;
  return rest
    .split('\r\n')
    .filter((_, line) => line % 2 === 1)
    .join('');
}

async function refreshOnce(socket: Socket): Promise<number> {
  const token = takeToken();
  const sentMs = performance.now();
  const body = await exchange(socket, `{"refresh_token":"${token}"}`);
  const tookMs = performance.now() - sentMs;
  const { refresh_token: next, access_token: access } = JSON.parse(body) as Record<string, unknown>;
  if (typeof next !== 'string' || next === token || typeof access !== 'string')
    throw new Error(`the response has no tokens: ${body}`);
  returnToken(next);
  return tookMs;
}

async function run({ port, connections, seconds, maxRefreshes = Infinity }: Load): Promise<LoadResult> {
  const sockets = Array.from({ length: connections }, () =>
    connect(port, '127.0.0.1').setNoDelay().setEncoding('utf8'),
  );
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) {
    socket.once('end', () => socket.destroy(new Error('the server ended a connection')));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no response within 10 s')));
  }
  const times: number[] = [];
  const startedMs = performance.now();
  let begun = 0;
  const continues = () => begun < maxRefreshes && performance.now() - startedMs < seconds * 1000;
  await Promise.all(
    sockets.map(async (socket) => {
      for (; continues(); times.push(await refreshOnce(socket))) begun += 1;
      socket.destroy();
    }),
  );
  const tookSeconds = (performance.now() - startedMs) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0;
  return { refreshes: times.length, seconds: tookSeconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

process.on('message', (message: { tokens: string[] } | Load) => {
  if ('tokens' in message) tokens.push(...message.tokens);
  const reply = 'tokens' in message ? Promise.resolve({}) : run(message);
  void reply.then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit());
