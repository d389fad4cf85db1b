import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { Logger } from './log.ts';

export interface MetricsServer {
  /** 0 where the port was taken. */
  port: number;
  close(): void;
}

/**
 * `GET /metrics` in Prometheus' text format, on a listener of its own, never on the public one. A port that is taken
 * is told and stops nothing: people get in without metrics, too.
 */
export async function serveMetrics(
  registry: Registry,
  host: string,
  port: number,
  log: Logger,
): Promise<MetricsServer> {
  collectDefaultMetrics({ register: registry });
  const server = createServer(async (req, res) => {
    if (req.url?.split('?')[0] !== '/metrics') return void res.writeHead(404).end();
    if (req.method !== 'GET') return void res.writeHead(405, { Allow: 'GET' }).end();
    const text = await registry.metrics();
    res.writeHead(200, { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' }).end(text);
  });
  server.maxConnections = 100;
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    log.error({ port, reason: code }, 'no metrics: the port cannot be had; set METRICS_PORT');
    return { port: 0, close: () => {} };
  }
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
