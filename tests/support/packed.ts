// The tarball of `npm pack`.
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const requiredFiles = [
  'package.json',
  'README.md',
  'LICENSE',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.package.json',
];
const requiredFolders = ['src/verify', 'src/client', 'scripts'];

/** Packs a copy, because `prepack` changes package.json, which other tests read. Returns the path of the tarball. */
export async function packKeyturn(destination: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'keyturn-copy-'));
  for (const path of [...requiredFiles, ...requiredFolders])
    await cp(path, join(copy, path), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  await symlink(resolve('node_modules'), join(copy, 'node_modules'), 'junction');
  await run('npm', ['pack', '--pack-destination', destination], { cwd: copy });
  await rm(copy, { recursive: true });
  const tarball = (await readdir(destination)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack created no tarball');
  return join(destination, tarball);
}
