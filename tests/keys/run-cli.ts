import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Output {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `npm run cli -- …` with exactly these environment variables and waits until it exits. */
export async function runCli(environment: Record<string, string>, ...args: string[]): Promise<Output> {
  const env = { PATH: process.env['PATH'] ?? '', ...environment };
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'cli', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}
