// The load, in its own process: keep-alive connections that each send the next refresh after the last response.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Load {
  port: number;
  connections: number;
  /** Ends after this time or this number of refreshes. */
  seconds: number;
  maxRefreshes?: number;
}

export interface LoadResult {
  refreshes: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

/** The newest token of every session, the longest unused first, so that no session is rotated twice in a row. */
const tokens: string[] = [];
let [taken, returned] = [0, 0];

function takeToken(): string {
  const token = tokens[taken];
  if (token === undefined) throw new Error('no session is left');
  taken = (taken + 1) % tokens.length;
  return token;
}

function returnToken(token: string): void {
  tokens[returned] = token;
  returned = (returned + 1) % tokens.length;
}

/** One exchange at a time, so the received bytes belong to the last request. */
async function exchange(socket: Socket, body: string): Promise<string> {
  const head = 'POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n';
  socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  for (let received = ''; ;) {
    const [chunk] = (await once(socket, 'data')) as [string];
    received += chunk;
    const answer = bodyOf(received);
    if (answer !== undefined) return answer;
  }
}

/** The body of a complete response, with a length or in chunks; undefined until it is complete. */
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
  const answer = await exchange(socket, `{"refresh_token":"${token}"}`);
  const tookMs = performance.now() - sentMs;
  const { refresh_token: next, access_token: access } = JSON.parse(answer) as Record<string, unknown>;
  if (typeof next !== 'string' || next === token || typeof access !== 'string')
    throw new Error(`not rotated: ${answer}`);
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
    socket.setTimeout(10_000, () => socket.destroy(new Error('no response in 10 s')));
  }
  const times: number[] = [];
  const startedMs = performance.now();
  let begun = 0;
  const goesOn = () => begun < maxRefreshes && performance.now() - startedMs < seconds * 1000;
  await Promise.all(
    sockets.map(async (socket) => {
      for (; goesOn(); times.push(await refreshOnce(socket))) begun += 1;
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
