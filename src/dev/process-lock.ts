// Locks and folders that are released when the last process that inherited them ends, even after SIGKILL.
import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessLock {
  /** An entry for a child's `stdio`, so that the child also holds the lock. */
  inherit: number | Writable;
  release(): Promise<void>;
}

const pollMs = 50;
const timeoutMs = 10_000;

/** Acquires an exclusive kernel lock, which cannot be stale, unlike a pid file. Waits for children of an owner that has died. */
export async function acquireProcessLock(path: string): Promise<ProcessLock> {
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += pollMs) {
    const fd = tryLock(path);
    if (fd !== undefined) return ownedLock(fd);
    const owner = Number(readFileSync(path, 'utf8'));
    if (owner > 0 && isAlive(owner)) {
      throw new Error(
        `another Keyturn development server (pid ${owner}) uses this folder. Stop it, or choose another folder.`,
      );
    }
    await sleep(pollMs);
  }
  throw new Error(`processes of an earlier run still use ${path}. Stop them, or choose another folder.`);
}

function ownedLock(fd: number): ProcessLock {
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}`, 0);
  return {
    inherit: fd,
    release: async () => {
      ftruncateSync(fd); // child processes may hold the lock longer than this process, which must not appear to be its owner
      closeSync(fd);
    },
  };
}

function tryLock(path: string): number | undefined {
  if (process.platform === 'darwin') return tryOpenLocked(path);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  // The lock belongs to the open file, so it outlives the flock command.
  const flock = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (flock.status === 0) return fd;
  closeSync(fd);
  if (flock.error)
    throw new Error('the command flock is missing. Install the package util-linux.', { cause: flock.error });
  return undefined;
}

/** Not in Node's constants. */
const O_EXLOCK_MACOS = 0x20;

function tryOpenLocked(path: string): number | undefined {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK_MACOS;
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return undefined;
    throw error;
  }
}

/** Whether a process exists, also one of another user. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Removes a folder when it is released, or when the last holder has ended. */
export function removeWhenReleased(folder: string): ProcessLock {
  const script = 'read -r _; rm -rf -- "$1"'; // read returns when every process has closed the other end
  const remover: ChildProcessByStdio<Writable, null, null> = spawn('/bin/sh', ['-c', script, 'sh', folder], {
    cwd: '/',
    detached: true, // not interrupted by Ctrl-C
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const removed = once(remover, 'exit');
  remover.unref();
  if (remover.stdin instanceof Socket) remover.stdin.unref();
  return {
    inherit: remover.stdin,
    release: async () => {
      remover.ref();
      remover.stdin.end();
      await removed;
    },
  };
}
