// The programs in examples/verify: how to build and start each one, and which algorithms it supports.
import { execFile, type ExecFileOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { packKeyturn } from '../support/packed.ts';
import { installPython } from '../support/python.ts';

const run = promisify(execFile);
const cache = 'node_modules/.cache/keyturn/interop';
const maxStartSeconds = 60;

export type Alg = 'ES256' | 'EdDSA' | 'RS256' | 'PS256';

export interface Verifier {
  /** The folder in examples/verify. */
  name: string;
  requires: readonly string[];
  build(folder: string): Promise<unknown>;
  start: readonly [string, ...string[]];
  algs: readonly Alg[];
  /** HAProxy does not support a list in `aud`. */
  rejectsAudienceList?: true;
}

const optionsFor = (folder: string): ExecFileOptions => ({ cwd: folder, maxBuffer: 1 << 26 });
const npmInstall = (folder: string, ...packages: string[]) =>
  run('npm', ['install', '--prefer-offline', '--no-save', '--no-package-lock', ...packages], optionsFor(folder));
const npmCi = (folder: string) => run('npm', ['ci', '--prefer-offline'], optionsFor(folder));

export const verifiers: readonly Verifier[] = [
  {
    name: 'node-keyturn',
    requires: ['npm'],
    async build(folder) {
      await Promise.all(
        (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => rm(join(folder, name))),
      );
      await rm(join(folder, 'node_modules/keyturn'), { recursive: true, force: true });
      await npmInstall(folder, await packKeyturn(resolve(folder)));
    },
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'node-jose',
    requires: ['npm'],
    build: npmCi,
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'node-express-oauth2-jwt-bearer',
    requires: ['npm'],
    build: npmCi,
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'python-fastapi',
    requires: ['python3'],
    async build(folder) {
      installPython(join(folder, 'venv'), join(folder, 'requirements.txt'));
    },
    start: ['venv/bin/python', 'main.py'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'go',
    requires: ['go'],
    build: (folder) => run('go', ['build', '-mod=readonly', '-o', 'orders', '.'], optionsFor(folder)),
    start: ['./orders'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'java',
    requires: ['mvn', 'java'],
    build: (folder) => run('mvn', ['--quiet', '--batch-mode', 'package'], optionsFor(folder)),
    start: ['java', '-cp', 'target/orders.jar:target/dependency/*', 'Orders'],
    algs: ['ES256', 'RS256', 'PS256'],
  },
  {
    name: 'rust',
    requires: ['cargo'],
    build: (folder) => run('cargo', ['build', '--quiet', '--locked'], optionsFor(folder)),
    start: ['target/debug/orders'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'haproxy',
    requires: ['haproxy'],
    build: () => Promise.resolve(),
    start: ['./start.sh'],
    algs: ['ES256', 'RS256'],
    rejectsAudienceList: true,
  },
];

const folderOf = ({ name }: Verifier) => join(cache, name);

/** Builds in a cached copy. Returns the duration in seconds. */
export async function build(verifier: Verifier): Promise<number> {
  const startedAt = performance.now();
  const folder = folderOf(verifier);
  await mkdir(folder, { recursive: true });
  await cp(join('examples/verify', verifier.name), folder, { recursive: true });
  await verifier.build(folder);
  return (performance.now() - startedAt) / 1000;
}

export interface RunningVerifier {
  /** Sends `GET /orders` and returns the response status. */
  getOrders(token?: string): Promise<number>;
  stop: () => Promise<void>;
}

/** Starts a program and waits until it responds. */
export async function start(verifier: Verifier, env: { ISSUER: string; AUDIENCE: string; JWT_ALG: Alg; PORT: string }) {
  const [program, ...args] = verifier.start;
  const cwd = resolve(folderOf(verifier));
  // Starts a process group, so that the workers of HAProxy are also stopped.
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env, POLL_SECONDS: '2' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  const closed = once(child, 'close');
  const terminate = () => child.pid !== undefined && child.exitCode === null && process.kill(-child.pid, 'SIGTERM');
  process.once('exit', terminate);

  const getOrders = async (token?: string): Promise<number> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${env.PORT}/orders`, {
      headers: { ...headers, connection: 'close' },
    });
    await response.arrayBuffer();
    return response.status;
  };
  const running: RunningVerifier = {
    getOrders,
    async stop() {
      process.off('exit', terminate);
      terminate();
      await closed;
    },
  };
  for (let tries = 0; tries < maxStartSeconds * 10; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${verifier.name} exited with ${child.exitCode}:\n${output}`);
    if (await getOrders().catch(() => undefined)) return running;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await running.stop();
  throw new Error(`${verifier.name} did not respond within ${maxStartSeconds} s:\n${output}`);
}
