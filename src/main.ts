import { loadConfig } from './config.ts';
import { runUntilSignaled } from './platform/process/lifecycle.ts';
import { startService } from './service.ts';

await runUntilSignaled(async () => {
  const service = await startService(await loadConfig('production'));
  service.log.info({ port: service.port }, 'listening');
  return service;
});
