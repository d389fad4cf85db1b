// An HTTP proxy between a client and the service that simulates network failures.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export type Fault =
  /** The connection is closed before the request reaches the service. */
  | 'loseRequest'
  /** The connection is closed after the service has responded. */
  | 'loseResponse'
  /** The connection is closed in the middle of the response. */
  | 'cutResponse'
  /** The response is cut in half but has a matching Content-Length. */
  | 'halveResponse'
  /** The response never arrives, and the connection stays open. */
  | 'withholdResponse'
  | 'delay'
  /** The service receives the request twice, and the client receives the second response. */
  | 'duplicate'
  /** The page of a captive portal replaces the response. */
  | 'portal'
  /** A response of the proxy. `forwards`: the service also receives the request. */
  | { status: number; headers?: Record<string, string>; body?: string; forwards?: boolean };

/** Chooses the fault of a request; undefined lets it through. */
export type FaultRule = (request: ProxiedRequest) => Fault | undefined;

export interface ProxiedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  atMs: number;
}

export interface FaultyProxy {
  baseUrl: string;
  faultRule: FaultRule;
  /** The requests of clients, in order. */
  requests: ProxiedRequest[];
  close(): Promise<void>;
}

interface Forwarded {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

const delayMs = 40;
const hopByHop = ['connection', 'keep-alive', 'transfer-encoding', 'content-length'];

export async function startFaultyProxy(target: string, faultRule: FaultRule = () => undefined): Promise<FaultyProxy> {
  const forward = async ({ method, path, headers, body }: ProxiedRequest): Promise<Forwarded> => {
    const sent = request(`${target}${path}`, { method, headers });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
  };

  const writeHead = (res: ServerResponse, { status, headers, body }: Forwarded, length = body.length) => {
    const endToEnd = Object.entries(headers).filter(([name]) => !hopByHop.includes(name));
    res.writeHead(status, { ...Object.fromEntries(endToEnd), 'content-length': length });
    return res;
  };

  const respond = async (fault: Fault | undefined, received: ProxiedRequest, res: ServerResponse): Promise<void> => {
    if (fault === 'loseRequest') return void res.destroy();
    if (typeof fault === 'object') {
      if (fault.forwards) await forward(received);
      return void res.writeHead(fault.status, fault.headers).end(fault.body);
    }
    if (fault === 'duplicate') await forward(received);
    const response = await forward(received);
    const half = response.body.subarray(0, response.body.length / 2);
    if (fault === 'loseResponse') return void res.destroy();
    if (fault === 'withholdResponse') return;
    if (fault === 'portal')
      return void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>Accept our terms.</p>');
    if (fault === 'halveResponse') return void writeHead(res, response, half.length).end(half);
    if (fault === 'cutResponse') return void writeHead(res, response).write(half, () => res.destroy());
    if (fault === 'delay') await sleep(delayMs);
    writeHead(res, response).end(response.body);
  };

  const proxy: FaultyProxy = {
    baseUrl: '',
    faultRule,
    requests: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((req, res) => {
    const handle = async () => {
      const { method = '', url: path = '', headers } = req;
      const received = { method, path, headers, body: String(await buffer(req)), atMs: Date.now() };
      proxy.requests.push(received);
      await respond(proxy.faultRule(received), received, res);
    };
    handle().catch(() => res.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
