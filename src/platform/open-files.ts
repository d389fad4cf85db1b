import { readFileSync } from 'node:fs';

/** How many files and sockets this process may have open; Infinity where the system does not tell. */
export function openFilesMax(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity; // macOS has no /proc
  }
}
