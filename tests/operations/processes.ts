// Services that are killed after their test, even if it fails, and commands.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
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

/** Runs a command until it exits. */
export async function run(command: string, args: string[], environment: Record<string, string>) {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...environment };
  const child: ChildProcess = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}
