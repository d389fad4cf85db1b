import { once } from 'node:events';
import { createServer } from 'node:http';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { Logger } from './log.ts';
import { portOf } from './process/lifecycle.ts';

export interface MetricsServer {
  /** 0 if the port was in use. */
  port: number;
  close(): void;
}

/**
 * Serves `GET /metrics` in the Prometheus text format, on a separate port that is not public. If the port is in use, the service runs
 * without metrics, because a missing metric must not cause an outage.
 */
export async function serveMetrics(
  registry: Registry,
  host: string,
  port: number,
  log: Logger,
): Promise<MetricsServer> {
  collectDefaultMetrics({ register: registry });
  const server = createServer(async (req, res) => {
    res.setHeader('X-Content-Type-Options', 'nosniff');
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
    log.error({ port, reason: code }, 'metrics are disabled because the port is unavailable; set METRICS_PORT');
    return { port: 0, close: () => {} };
  }
  return {
    port: portOf(server),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
