// npm pack: what is packed is for the programs around the service, `keyturn/verify` and `keyturn/client`, and not the
// service itself, which is run from a checkout or an image. Nobody who verifies a token shall install a database's
// driver for it, so the tarball's manifest names `jose` alone. `prepack` puts that manifest in the place of ours, and
// `postpack` puts ours back; where npm was stopped between the two, `git checkout package.json` does.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const manifest = 'package.json';
const ours = 'dist/.package.json';
const published = ['name', 'version', 'description', 'license', 'private', 'type', 'engines', 'exports', 'files'];

type Manifest = Record<string, unknown> & { dependencies: { jose: string } };

function prepare(): void {
  const text = readFileSync(manifest, 'utf8');
  const whole = JSON.parse(text) as Manifest;
  const members = Object.entries(whole).filter(([name]) => published.includes(name));
  const { jose } = whole.dependencies;
  writeFileSync(ours, text);
  writeFileSync(manifest, `${JSON.stringify({ ...Object.fromEntries(members), dependencies: { jose } }, null, 2)}\n`);
}

const [event] = process.argv.slice(2);
if (event === 'prepack') prepare();
if (event === 'postpack' && existsSync(ours)) renameSync(ours, manifest);
