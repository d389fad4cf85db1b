import { readFileSync } from 'node:fs';

/** The maximum number of files and sockets that this process can open; Infinity if the system does not report it. */
export function openFilesMax(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity; // macOS has no /proc
  }
}
