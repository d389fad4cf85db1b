import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
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
  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    res.setHeader('X-Content-Type-Options', 'nosniff');
    if (req.url?.split('?')[0] !== '/metrics') return void res.writeHead(404).end();
    if (req.method !== 'GET') return void res.writeHead(405, { Allow: 'GET' }).end();
    const text = await registry.metrics();
    res.writeHead(200, { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' }).end(text);
  };
  const server = createServer((req, res) => {
    handle(req, res).catch((err: unknown) => {
      log.error({ err }, 'the metrics could not be collected');
      if (res.headersSent) res.destroy();
      else res.writeHead(500).end();
    });
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
  // Without a listener, a failed accept would end the process.
  server.on('error', (err) => log.warn({ err }, 'a connection of the metrics port could not be accepted'));
  return {
    port: portOf(server),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
