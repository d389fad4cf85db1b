// Starts a real Redis without persistence, for a run of jest or for tests that stop it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { InstalledProgram } from './debian-program.ts';
import { findRedis } from './redis-binary.ts';
import { withRedis } from './redis-client.ts';

export interface RedisServer {
  url: string;
  port: number;
  pid: number;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP: the connections stay open and new ones are accepted, but the server does not reply. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

const PORTS_TO_TRY = 5;

/** Resolves when the server replies. It stops when this process ends, even after SIGKILL. A later server can reuse the port. */
export async function startRedis({ port }: { port?: number } = {}): Promise<RedisServer> {
  const unavailableReason = process.env['TEST_REDIS_ERROR'];
  if (unavailableReason) throw new Error(unavailableReason);
  const binary = await findRedis();
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(port ?? randomPort(), binary);
    } catch (error) {
      const portWasTaken = error instanceof Error && error.message.includes('Address already in use');
      if (!portWasTaken || port !== undefined || attempt === PORTS_TO_TRY) throw error;
    }
  }
}

/**
 * Below the ephemeral ports. Otherwise a client that keeps reconnecting to a stopped server could get the server's port as its
 * own and connect to itself.
 */
const randomPort = (): number => 16_384 + Math.floor(Math.random() * 16_384);

// Starts a watcher and replaces the shell with the server. The watcher kills the server when stdin closes because this process
// has ended. After the server has exited, the watcher receives a line and ends.
const GUARDED = `
exec 9<&0
{ read -r _ <&9 || kill -KILL $$; } >/dev/null 2>&1 &
exec "$@" </dev/null 2>&1 9<&-`;

async function startOn(port: number, { program, env }: InstalledProgram): Promise<RedisServer> {
  const flags = { port, bind: '127.0.0.1', save: '', appendonly: 'no', databases: 1000 };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', program, ...args], {
    cwd: tmpdir(),
    detached: true, // not interrupted by Ctrl-C
    env,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child, 'spawn');
  const { pid = 0, stdin, stdout } = child;
  stdin.on('error', () => {}); // the watcher may also have ended
  const ended = once(child, 'exit').then(() => stdin.end('\n'));
  const end = async (...signals: NodeJS.Signals[]) => {
    child.ref();
    for (const signal of signals) child.kill(signal);
    await ended;
  };

  const url = `redis://127.0.0.1:${port}`;
  try {
    await untilReady(child.stdout);
    await withRedis(url, (client) => client.ping());
  } catch (cause) {
    await end('SIGKILL');
    throw new Error(`${program} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  child.unref();
  for (const pipe of [stdin, stdout]) (pipe as Socket).unref();
  return {
    url,
    port,
    pid,
    stop: () => end('SIGCONT', 'SIGTERM'), // a paused server does not handle SIGTERM
    kill: () => end('SIGKILL'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}

/** Waits for a line in the server's log, because another server on the same port could reply to a PING. */
function untilReady(stdout: Readable): Promise<void> {
  const log: string[] = [];
  return new Promise((ready, failed) => {
    createInterface(stdout)
      .on('line', (line) => {
        log.push(line);
        if (line.includes('Ready to accept connections')) ready();
      })
      .once('close', () => failed(new Error(log.join('\n'))));
  });
}
