// Starts the processes of the benchmarks and reads their CPU time and memory from /proc (Linux only).
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const readProc = (pid: number, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // the process has ended, and its parent has its times
  }
};

/** The fields of proc_pid_stat(5) from the third. The second, a name, can contain spaces and parentheses. */
const statOf = (pid: number): string[] => {
  const text = readProc(pid, 'stat');
  return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
};

const [parentField, userField, childrenSystemField] = [1, 11, 14];

const ticksMicros = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const microsOf = (stat: string[], last: number): number =>
  stat.slice(userField, last).reduce((sum, ticks) => sum + Number(ticks), 0) * ticksMicros;

/** The user and system time of a process and its threads. */
export const cpuMicros = (pid: number): number => microsOf(statOf(pid), childrenSystemField - 1);

/** The user and system time of a process and its children, including ended ones. */
export function treeCpuMicros(root: number): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = pids.map((pid) => statOf(Number(pid))).filter((stat) => stat[parentField] === String(root));
  return [statOf(root), ...children].reduce((sum, stat) => sum + microsOf(stat, childrenSystemField + 1), 0);
}

export const rssMegabytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readProc(pid, 'status'))?.[1] ?? 0) / 1024;

export interface Server {
  pid: number;
  port: number;
  stop(): Promise<void>;
}

/** Killed when this process ends. */
const started = new Set<ChildProcess>();
process.once('exit', () => started.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const stopperOf = (child: ChildProcess) => {
  started.add(child);
  const ended = once(child, 'exit').finally(() => started.delete(child));
  return async () => {
    child.kill('SIGTERM');
    await ended;
  };
};

/** Forks a TypeScript file, sends it one message and resolves with the first that it sends back. */
export async function forkScript<Reply>(file: URL, message: object): Promise<{ child: ChildProcess; reply: Reply }> {
  const child = fork(file, { execArgv: ['--import', './scripts/typescript.js'] });
  stopperOf(child);
  return { child, reply: await callChild<Reply>(child, message) };
}

/** @throws if the child ends without a reply */
export async function callChild<Reply>(child: ChildProcess, message: object): Promise<Reply> {
  child.send(message);
  const exited = new AbortController();
  const { signal } = exited;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([reply]) => reply as Reply),
      once(child, 'exit', { signal }).then(([status]) => {
        throw new Error(`${child.spawnargs.at(-1)} ended with status ${status}`);
      }),
    ]);
  } finally {
    exited.abort();
  }
}

export async function startFloor(settings: object): Promise<Server> {
  const { child, reply } = await forkScript<{ port: number }>(new URL('../floor.ts', import.meta.url), settings);
  return { pid: child.pid ?? 0, port: reply.port, stop: stopperOf(child) };
}

/** The arguments of Node in `npm start`. */
function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
  return scripts.start.replace(/^(exec )?node /, '').split(' ');
}

/** Starts the built service like `npm start`, with only these environment variables and its log in a file. */
export async function startService(settings: Record<string, string>, log: string): Promise<Server> {
  const child = spawn(process.execPath, startArguments(), {
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...settings },
    stdio: ['ignore', openSync(log, 'w'), 'inherit'],
  });
  const stop = stopperOf(child);
  const port = await untilListening(child, log);
  await untilReady(port);
  return { pid: child.pid ?? 0, port, stop };
}

async function untilListening(child: ChildProcess, log: string): Promise<number> {
  while (child.exitCode === null) {
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const { msg, port } = line.endsWith('}') ? (JSON.parse(line) as { msg?: string; port?: number }) : {};
      if (msg === 'listening' && port) return port;
    }
    await sleep(20);
  }
  throw new Error(`the service ended with status ${child.exitCode}`);
}

async function untilReady(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return;
    await sleep(50);
  }
  throw new Error('the service did not become ready in 10 s');
}
