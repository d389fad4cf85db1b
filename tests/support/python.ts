// Python programs of the tests: an environment of their own each, with the packages that a file pins.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const canMakeEnvironments = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))';

/** A Python that is new enough for what is pinned, and can make environments (Debian: `python3-venv`). */
export function findPython(): string | undefined {
  return ['python3', 'python'].find((name) => {
    try {
      execFileSync(name, ['-c', canMakeEnvironments], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

/** The folder of its programs. */
export const binOf = (environment: string): string =>
  join(environment, process.platform === 'win32' ? 'Scripts' : 'bin');

/** Installs what `requirements` pins unless it is there. False: there is no Python to do so with. */
export function installPython(environment: string, requirements: string): boolean {
  const stamp = join(environment, 'installed-requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true;
  const python = findPython();
  if (python === undefined) return false;
  rmSync(environment, { recursive: true, force: true });
  execFileSync(python, ['-m', 'venv', environment], { stdio: 'inherit' });
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements];
  execFileSync(join(binOf(environment), 'python'), install, { stdio: 'inherit' });
  writeFileSync(stamp, wanted);
  return true;
}
