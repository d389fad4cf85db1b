// Clients of a proxy, over HTTP/1.1 and HTTP/2, each from an address of its own.
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import { certificate, hostName, type Proxy } from './proxies.ts';

export interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

export interface ProxyRequest {
  method?: string;
  body?: object | string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface ProxyClient {
  send(path: string, request?: ProxyRequest): Promise<Answer>;
  close(): void;
}

const timeoutMs = 15_000;

const prepare = ({ method, body, headers = {} }: ProxyRequest) => {
  const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '');
  const type =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
  return { method: method ?? (body === undefined ? 'GET' : 'POST'), headers: { ...type, ...headers }, text };
};

const tls = { ca: certificate.cert, servername: hostName };

/** A client that keeps its connection. Every address of 127.0.0.0/8 is this machine's. */
export function http1Client({ port }: Proxy, localAddress = '127.0.0.1'): ProxyClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    send: (path, sent = {}) =>
      new Promise((resolve, reject) => {
        const { method, headers, text } = prepare(sent);
        const options = {
          ...tls,
          host: '127.0.0.1',
          port,
          path,
          method,
          agent,
          localAddress,
          signal: sent.signal ?? AbortSignal.timeout(timeoutMs),
        };
        const outgoing = request({ ...options, headers: { host: hostName, ...headers } }, (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
          incoming.on('end', () => {
            const { statusCode: status = 0, headers: received } = incoming;
            resolve({ status, headers: received, text: Buffer.concat(chunks).toString('utf8') });
          });
        });
        outgoing.on('error', reject).end(text);
      }),
    close: () => agent.destroy(),
  };
}

export async function http2Client({ port }: Proxy, localAddress = '127.0.0.1'): Promise<ProxyClient> {
  const options = { ...tls, host: '127.0.0.1', port, ALPNProtocols: ['h2'], localAddress };
  const socket = connectTls(options);
  await once(socket, 'secureConnect');
  if (socket.alpnProtocol !== 'h2') throw new Error('the proxy does not offer HTTP/2');
  const session = connectHttp2(`https://${hostName}`, { createConnection: () => socket });
  session.on('error', () => {}); // its requests report it
  return {
    send: (path, sent = {}) =>
      new Promise((resolve, reject) => {
        const { method, headers, text } = prepare(sent);
        const stream = session.request({ ':path': path, ':method': method, ...headers }, { endStream: text === '' });
        const timer = setTimeout(() => stream.destroy(new Error(`no response to ${method} ${path}`)), timeoutMs);
        const chunks: Buffer[] = [];
        let received: Answer['headers'] = {};
        stream.on('response', (each) => (received = each as Answer['headers']));
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('error', reject);
        stream.on('close', () => {
          clearTimeout(timer);
          const status = Number(received[':status'] ?? 0);
          if (status === 0) reject(new Error(`${method} ${path} was not answered`));
          else resolve({ status, headers: received, text: Buffer.concat(chunks).toString('utf8') });
        });
        if (text !== '') stream.end(text);
      }),
    close: () => session.destroy(),
  };
}
