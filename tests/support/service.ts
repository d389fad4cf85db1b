// The built service in a separate process, as `npm start` runs it.
import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { cheapHashes, type Client, generousLimits, makeClient, type Settings } from '../harness.ts';

export interface ServiceProcess extends Client {
  baseUrl: string;
  child: ChildProcess;
  /** Log lines so far. */
  lines: string[];
  /** Sends SIGTERM and returns the exit code. */
  stop(): Promise<number | null>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
}

export const productionSettings = (): Settings => ({
  HOST: '127.0.0.1',
  PORT: '0',
  METRICS_PORT: '0',
  ISSUER: 'https://auth.example.com',
  TRUST_PROXY: 'off',
  EMAIL_VERIFICATION: 'off',
  MASTER_KEYS: randomBytes(32).toString('base64url'),
  ...cheapHashes,
  ...generousLimits,
});

export interface Launch extends Pick<SpawnOptions, 'cwd' | 'uid' | 'gid'> {
  command?: readonly string[];
  env?: Record<string, string>;
  /** As `ulimit -n` sets it. */
  openFilesMax?: number;
}

const fromHere = [process.execPath, 'bin/keyturn.cjs', 'main'];

/** Starts the service with exactly these variables. Resolves when it listens. */
export async function startService(settings: Settings, launch: Launch = {}): Promise<ServiceProcess> {
  const { command = fromHere, env, openFilesMax, ...where } = launch;
  const limited = openFilesMax === undefined ? [] : ['sh', '-c', `ulimit -n ${openFilesMax} && exec "$@"`, 'sh'];
  const [program = '', ...args] = [...limited, ...command];
  const child = spawn(program, args, {
    ...where,
    env: { PATH: process.env['PATH'] ?? '', ...env, ...productionSettings(), ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const stopped = once(child, 'exit');
  const port = await new Promise<number>((resolve, reject) => {
    const read = (line: string) => {
      lines.push(line);
      const { msg, port: bound } = line.startsWith('{') ? (JSON.parse(line) as { msg?: string; port?: number }) : {};
      if (msg === 'listening' && bound) resolve(bound);
    };
    createInterface(child.stdout).on('line', read);
    createInterface(child.stderr).on('line', read);
    child.once('exit', (code) => reject(new Error(`the service exited with ${code}:\n${lines.join('\n')}`)));
  });
  const baseUrl = `http://127.0.0.1:${port}`;
  return {
    ...makeClient(baseUrl),
    baseUrl,
    child,
    lines,
    async stop() {
      child.kill('SIGTERM');
      await stopped;
      return child.exitCode;
    },
    async kill() {
      child.kill('SIGKILL');
      await stopped;
    },
  };
}

async function waitForReadiness({ get }: Pick<Client, 'get'>, status: 200 | 503): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if ((await get('/readyz')).status === status) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`/readyz did not return ${status} in 20 s`);
}

/** Resolves when `/readyz` returns 200. */
export const waitUntilReady = (service: Pick<Client, 'get'>): Promise<void> => waitForReadiness(service, 200);

/** Resolves when `/readyz` returns 503. */
export const waitUntilNotReady = (service: Pick<Client, 'get'>): Promise<void> => waitForReadiness(service, 503);
