// The tarball that `npm pack` makes of a fresh clone.
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** All that packing needs. Copied, since `prepack` changes package.json and other tests read it meanwhile. */
const sources = [
  'package.json',
  'README.md',
  'LICENSE',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.package.json',
];
const folders = ['src/verify', 'src/client', 'scripts'];

/** Packs into `folder`, and gives the tarball's path. */
export async function packKeyturn(folder: string): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), 'keyturn-clone-'));
  for (const name of [...sources, ...folders])
    await cp(name, join(clone, name), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  await symlink(resolve('node_modules'), join(clone, 'node_modules'), 'junction');
  await run('npm', ['pack', '--pack-destination', folder], { cwd: clone });
  await rm(clone, { recursive: true });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  return join(folder, tarball);
}
