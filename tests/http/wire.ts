// Raw HTTP, for requests that client libraries do not send.
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

export interface Sent {
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array | undefined;
  /** Omits Content-Length. */
  chunked?: boolean;
}

const patienceMs = 5000;

/** Sends one request with exactly these headers and bytes. Rejects if no complete response arrives in five seconds. */
export function send(baseUrl: string, path: string, { method = 'GET', headers = {}, body, chunked }: Sent = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { hostname, port } = new URL(baseUrl);
    const length = body === undefined || chunked ? {} : { 'content-length': Buffer.byteLength(body) };
    const signal = AbortSignal.timeout(patienceMs);
    const options = { hostname, port, path, method, agent: false as const, signal };
    const outgoing = request({ ...options, headers: { ...length, ...headers } }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    outgoing.on('error', reject);
    if (chunked) outgoing.flushHeaders();
    outgoing.end(body);
  });
}

/** Sends these bytes and resolves with everything received until the server closes. Rejects if it never does. */
export function exchange(baseUrl: string, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(baseUrl);
    const socket = connect({ host: hostname, port: Number(port) });
    const late = setTimeout(() => socket.destroy(new Error(`no end after ${patienceMs} ms: ${received}`)), patienceMs);
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    // A server that rejects a request early can close while the client still writes. The data received before is the response.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(late);
      resolve(received);
    });
    socket.write(bytes);
  });
}

/** Status, media type and number of the responses that `exchange` received. */
export function summaryOf(received: string): { status: number; type: string | undefined; responses: number } {
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1]),
    type: /^content-type: ([^;\r]*)/im.exec(received)?.[1],
    responses: received.split(/HTTP\/1\.1 \d{3} /).length - 1,
  };
}
