// Things that must end with a process tree, however it dies: each lasts until the last process that inherited it is gone.
import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessLock {
  /** An entry for a child's `stdio`, which makes the child a holder too. */
  inherit: number | Writable;
  release(): Promise<void>;
}

const POLL_MS = 50;
const PATIENCE_MS = 10_000;

/** An exclusive kernel lock: unlike a file that names a pid it cannot be stale. A dead owner's children are waited for. */
export async function acquireProcessLock(path: string): Promise<ProcessLock> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    const fd = tryLock(path);
    if (fd !== undefined) return ownedLock(fd);
    const owner = Number(readFileSync(path, 'utf8'));
    if (owner > 0 && isAlive(owner)) {
      throw new Error(`another Keyturn development server (pid ${owner}) is using this folder`);
    }
    await sleep(POLL_MS);
  }
  throw new Error(`${path} is still held by what an earlier run left behind: end it, or choose another folder`);
}

function ownedLock(fd: number): ProcessLock {
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}`, 0);
  return {
    inherit: fd,
    release: async () => {
      ftruncateSync(fd); // children may hold it for a moment longer, and must not be taken for this process
      closeSync(fd);
    },
  };
}

function tryLock(path: string): number | undefined {
  if (process.platform === 'darwin') return tryOpenLocked(path);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  // The lock belongs to the open file, so it outlives the command that took it.
  const flock = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (flock.status === 0) return fd;
  closeSync(fd);
  if (flock.error) throw new Error('install the command flock (package util-linux)', { cause: flock.error });
  return undefined;
}

const O_EXLOCK_MACOS = 0x20; // not among node's constants

function tryOpenLocked(path: string): number | undefined {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK_MACOS;
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Removes a folder when it is released, or when the last holder has died. */
export function removeWhenReleased(folder: string): ProcessLock {
  const script = 'read -r _; rm -rf -- "$1"'; // read returns when nobody holds the other end
  const remover: ChildProcessByStdio<Writable, null, null> = spawn('/bin/sh', ['-c', script, 'sh', folder], {
    cwd: '/',
    detached: true, // out of reach of Ctrl-C
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const removed = once(remover, 'exit');
  remover.unref();
  (remover.stdin as Socket).unref();
  return {
    inherit: remover.stdin,
    release: async () => {
      remover.ref();
      remover.stdin.end();
      await removed;
    },
  };
}
