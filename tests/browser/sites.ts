// Three hosts over TLS for browsers: an app and the service on one site, and a page of another site.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { promisify } from 'node:util';

export const hosts = { app: 'app.example.test', auth: 'auth.example.test', evil: 'evil.test' } as const;
export const origins = {
  app: `https://${hosts.app}`,
  auth: `https://${hosts.auth}`,
  evil: `https://${hosts.evil}`,
} as const;

export interface Sites {
  /** For `--host-resolver-rules`: maps port 443 of each host to this server. */
  resolverRules: string;
  close(): Promise<void>;
}

interface SitesOptions {
  /** The http URL of the service. */
  serviceUrl: string;
  /** The responses of the app's host. */
  app: Files;
  evil: Files;
}

/** A text by its path, or a folder by the prefix of its paths. */
export type Files = Record<string, { text: string; type: string } | { folder: string }>;

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** Creates a certificate for the hosts with openssl. */
async function makeCertificate(): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = Object.values(hosts).map((host) => `DNS:${host}`);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const subject = ['-subj', '/CN=keyturn tests', '-addext', `subjectAltName=${names.join()}`];
  try {
    await promisify(execFile)('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert]);
    return { key: await readFile(key), cert: await readFile(cert) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Forwards a request like a TLS proxy. */
function forward(serviceUrl: string, req: IncomingMessage, res: ServerResponse): void {
  const headers = { ...req.headers, 'x-forwarded-for': req.socket.remoteAddress, 'x-forwarded-proto': 'https' };
  const upstream = request(new URL(req.url ?? '/', serviceUrl), { method: req.method, headers }, (response) => {
    res.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(res);
  });
  upstream.on('error', () => res.destroy());
  req.pipe(upstream);
}

async function serveFile(files: Files, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = normalize(new URL(req.url ?? '/', 'https://x').pathname);
  const exact = files[path];
  if (exact && 'text' in exact) return void res.writeHead(200, { 'Content-Type': exact.type }).end(exact.text);
  for (const [prefix, file] of Object.entries(files)) {
    if (!('folder' in file) || !path.startsWith(prefix)) continue;
    const rest = path.slice(prefix.length) || 'index.html';
    const content = await readFile(join(file.folder, rest)).catch(() => undefined);
    if (content) return void res.writeHead(200, { 'Content-Type': types[extname(rest)] ?? 'text/plain' }).end(content);
  }
  res.writeHead(404).end();
}

export async function startSites({ serviceUrl, app, evil }: SitesOptions): Promise<Sites> {
  const server: Server = createServer(await makeCertificate(), (req, res) => {
    const [host] = (req.headers.host ?? '').split(':');
    if (host === hosts.auth) return forward(serviceUrl, req, res);
    void serveFile(host === hosts.app ? app : evil, req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    resolverRules: Object.values(hosts)
      .map((host) => `MAP ${host}:443 127.0.0.1:${port}`)
      .join(', '),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
