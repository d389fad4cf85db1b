import { loadConfig } from './config.ts';
import { runUntilSignalled } from './platform/process-lifecycle.ts';
import { startService } from './service.ts';

await runUntilSignalled(async () => {
  const service = await startService(await loadConfig('production'));
  service.log.info({ port: service.port }, 'listening');
  return service;
});
