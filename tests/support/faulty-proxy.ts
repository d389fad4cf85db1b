// Stands between a client and the service, speaks HTTP, and does to requests and answers what networks do.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** `lose…`: the connection is cut, before the service saw the request or after it answered. */
export type Fault =
  | 'loseRequest'
  | 'loseAnswer'
  /** The answer ends in the middle, and the connection with it. */
  | 'cutAnswer'
  /** Half of the answer comes, and looks whole. */
  | 'halveAnswer'
  /** The service answers, and that never arrives; nor does anything else. */
  | 'swallowAnswer'
  | 'delay'
  /** The service gets the request twice; the client gets the second answer. */
  | 'duplicate'
  /** A proxy's page, in place of the service's answer. */
  | 'portal'
  | { status: number; headers?: Record<string, string>; body?: string; seen?: boolean };

/** What happens to a request; undefined: nothing. */
export type Weather = (call: { method: string; path: string; headers: IncomingHttpHeaders }) => Fault | undefined;

export interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  atMs: number;
}

export interface FaultyProxy {
  baseUrl: string;
  weather: Weather;
  /** Every request of a client, in order. */
  seen: Seen[];
  close(): Promise<void>;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

const delayMs = 40;
const hopByHop = ['connection', 'keep-alive', 'transfer-encoding', 'content-length'];

export async function startFaultyProxy(target: string, weather: Weather = () => undefined): Promise<FaultyProxy> {
  const forward = async ({ method, path, headers, body }: Seen): Promise<Answer> => {
    const sent = request(`${target}${path}`, { method, headers });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await buffer(answer) };
  };

  const give = (res: ServerResponse, { status, headers, body }: Answer, length = body.length) => {
    const kept = Object.entries(headers).filter(([name]) => !hopByHop.includes(name));
    res.writeHead(status, { ...Object.fromEntries(kept), 'content-length': length });
    return res;
  };

  const suffer = async (fault: Fault | undefined, call: Seen, res: ServerResponse): Promise<void> => {
    if (fault === 'loseRequest') return void res.destroy();
    if (typeof fault === 'object') {
      if (fault.seen) await forward(call);
      return void res.writeHead(fault.status, fault.headers).end(fault.body);
    }
    if (fault === 'duplicate') await forward(call);
    const answer = await forward(call);
    const half = answer.body.subarray(0, answer.body.length / 2);
    if (fault === 'loseAnswer') return void res.destroy();
    if (fault === 'swallowAnswer') return;
    if (fault === 'portal')
      return void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>Accept our terms.</p>');
    if (fault === 'halveAnswer') return void give(res, answer, half.length).end(half);
    if (fault === 'cutAnswer') return void give(res, answer).write(half, () => res.destroy());
    if (fault === 'delay') await sleep(delayMs);
    give(res, answer).end(answer.body);
  };

  const proxy: FaultyProxy = {
    baseUrl: '',
    weather,
    seen: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((req, res) => {
    const handle = async () => {
      const { method = '', url: path = '', headers } = req;
      const call = { method, path, headers, body: String(await buffer(req)), atMs: Date.now() };
      proxy.seen.push(call);
      await suffer(proxy.weather(call), call, res);
    };
    handle().catch(() => res.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
