// The programs of examples/verify: what each needs, how it is built and started, and which JWT_ALG it can do.
import { execFile, type ExecFileOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { packKeyturn } from '../support/packed.ts';
import { installPython } from '../support/python.ts';

const run = promisify(execFile);
const cache = 'node_modules/.cache/keyturn/interop';
const startSecondsMax = 60;

export type Alg = 'ES256' | 'EdDSA' | 'RS256' | 'PS256';

export interface Verifier {
  /** Its folder in examples/verify. */
  name: string;
  /** Programs without which it is not run. */
  needs: readonly string[];
  build(folder: string): Promise<unknown>;
  start: readonly [string, ...string[]];
  algs: readonly Alg[];
  /** What it cannot do, and says so: HAProxy reads one audience, not a list. */
  noAudienceList?: true;
}

const inFolder = (folder: string): ExecFileOptions => ({ cwd: folder, maxBuffer: 1 << 26 });
const install = (folder: string, ...more: string[]) =>
  run('npm', ['install', '--prefer-offline', '--no-save', '--no-package-lock', ...more], inFolder(folder));
const ci = (folder: string) => run('npm', ['ci', '--prefer-offline'], inFolder(folder));

export const verifiers: readonly Verifier[] = [
  {
    name: 'node-keyturn',
    needs: ['npm'],
    async build(folder) {
      await Promise.all(
        (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => rm(join(folder, name))),
      );
      await rm(join(folder, 'node_modules/keyturn'), { recursive: true, force: true });
      await install(folder, await packKeyturn(resolve(folder)));
    },
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'node-jose',
    needs: ['npm'],
    build: ci,
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'node-express-oauth2-jwt-bearer',
    needs: ['npm'],
    build: ci,
    start: ['node', 'server.js'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'python-fastapi',
    needs: ['python3'],
    async build(folder) {
      installPython(join(folder, 'venv'), join(folder, 'requirements.txt'));
    },
    start: ['venv/bin/python', 'main.py'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'go',
    needs: ['go'],
    build: (folder) => run('go', ['build', '-mod=readonly', '-o', 'orders', '.'], inFolder(folder)),
    start: ['./orders'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'java',
    needs: ['mvn', 'java'],
    build: (folder) => run('mvn', ['--quiet', '--batch-mode', 'package'], inFolder(folder)),
    start: ['java', '-cp', 'target/orders.jar:target/dependency/*', 'Orders'],
    algs: ['ES256', 'RS256', 'PS256'],
  },
  {
    name: 'rust',
    needs: ['cargo'],
    build: (folder) => run('cargo', ['build', '--quiet', '--locked'], inFolder(folder)),
    start: ['target/debug/orders'],
    algs: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  },
  {
    name: 'haproxy',
    needs: ['haproxy'],
    build: () => Promise.resolve(),
    start: ['./start.sh'],
    algs: ['ES256', 'RS256'],
    noAudienceList: true,
  },
];

const folderOf = ({ name }: Verifier) => join(cache, name);

/** Builds in a copy that later runs find again. The seconds that it took. */
export async function build(verifier: Verifier): Promise<number> {
  const startedAt = performance.now();
  const folder = folderOf(verifier);
  await mkdir(folder, { recursive: true });
  await cp(join('examples/verify', verifier.name), folder, { recursive: true });
  await verifier.build(folder);
  return (performance.now() - startedAt) / 1000;
}

export interface Running {
  /** The status of `GET /orders`. */
  orders(token?: string): Promise<number>;
  stop: () => Promise<void>;
}

/** Starts it with these settings and waits until it answers. */
export async function start(verifier: Verifier, env: { ISSUER: string; AUDIENCE: string; JWT_ALG: Alg; PORT: string }) {
  const [program, ...args] = verifier.start;
  const cwd = resolve(folderOf(verifier));
  // A group of its own: HAProxy's workers end with the script that started them.
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env, POLL_SECONDS: '2' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close');
  const end = () => child.pid !== undefined && child.exitCode === null && process.kill(-child.pid, 'SIGTERM');
  process.once('exit', end);

  const orders = async (token?: string): Promise<number> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${env.PORT}/orders`, {
      headers: { ...headers, connection: 'close' },
    });
    await response.arrayBuffer();
    return response.status;
  };
  const running: Running = {
    orders,
    async stop() {
      process.off('exit', end);
      end();
      await ended;
    },
  };
  for (let tries = 0; tries < startSecondsMax * 10; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${verifier.name} ended with ${child.exitCode}:\n${output}`);
    if (await orders().catch(() => undefined)) return running;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  await running.stop();
  throw new Error(`${verifier.name} did not answer in ${startSecondsMax} s:\n${output}`);
}
