// Writes the manifest of the published package. `npm pack` publishes only `keyturn/verify` and `keyturn/client`, so the
// published package.json lists jose as the only dependency instead of all dependencies of the service. `prepack` writes
// it and `postpack` restores the original. If npm stops in between, run `git checkout package.json`.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const manifestPath = 'package.json';
const backupPath = 'dist/.package.json';
const publishedMembers = [
  'name',
  'version',
  'description',
  'license',
  'private',
  'type',
  'engines',
  'exports',
  'files',
];

type Manifest = Record<string, unknown> & { dependencies: { jose: string } };

function writePublishedManifest(): void {
  const text = readFileSync(manifestPath, 'utf8');
  const manifest = JSON.parse(text) as Manifest;
  const members = Object.entries(manifest).filter(([name]) => publishedMembers.includes(name));
  const { jose } = manifest.dependencies;
  const published = { ...Object.fromEntries(members), dependencies: { jose } };
  writeFileSync(backupPath, text);
  writeFileSync(manifestPath, `${JSON.stringify(published, null, 2)}\n`);
}

const [event] = process.argv.slice(2);
if (event === 'prepack') writePublishedManifest();
if (event === 'postpack' && existsSync(backupPath)) renameSync(backupPath, manifestPath);
