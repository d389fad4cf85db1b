// The build context: the files that .dockerignore does not exclude.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface BuildContext {
  folder: string;
  /** Paths below the folder. */
  files: string[];
}

interface Rule {
  text: string;
  keeps: boolean;
  names: RegExp;
}

/** `*` and `?` stay inside a name, dot files included; `**` does not (Go's filepath.Match, as Docker extends it). */
const asPattern = (glob: string) => {
  const parts = glob.split(/(\*\*\/|\*\*|\*|\?)/).map((part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    return part === '?' ? '[^/]' : part.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`);
};

export function parseIgnoreFile(text: string): Rule[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const glob = line.replace(/^!/, '');
      return { text: glob, keeps: line.startsWith('!'), names: asPattern(glob) };
    });
}

/** The last rule that names a path, or a folder above it, decides. */
export function isKept(path: string, rules: readonly Rule[]): boolean {
  const parts = path.split('/');
  const lineage = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return rules.findLast(({ names }) => lineage.some((name) => names.test(name)))?.keeps ?? true;
}

export async function readContext(folder: string): Promise<BuildContext> {
  const rules = parseIgnoreFile(await readFile(join(folder, '.dockerignore'), 'utf8'));
  const mayContainFiles = (path: string) =>
    isKept(path, rules) || rules.some(({ text, keeps }) => keeps && text.startsWith(`${path}/`));
  const walk = async (below: string): Promise<string[]> => {
    const entries = await readdir(join(folder, below), { withFileTypes: true });
    const found = entries.map(async (entry) => {
      const path = join(below, entry.name);
      if (entry.isDirectory()) return mayContainFiles(path) ? walk(path) : [];
      return isKept(path, rules) ? [path] : [];
    });
    return (await Promise.all(found)).flat();
  };
  return { folder, files: (await walk('')).sort() };
}
