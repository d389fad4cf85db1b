// Services that are killed after their test, even if it fails.
import { afterEach } from '@jest/globals';
import type { Settings } from '../harness.ts';
import { type Launch, type ServiceProcess, startService } from '../support/service.ts';

const started: ServiceProcess[] = [];

afterEach(async () => {
  for (const service of started.splice(0))
    if (service.child.exitCode === null && service.child.signalCode === null) await service.kill();
});

export async function startForTest(settings: Settings, options: Launch = {}): Promise<ServiceProcess> {
  const service = await startService(settings, options);
  started.push(service);
  return service;
}
