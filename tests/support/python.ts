// Virtual environments for the Python programs of the tests.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const checkVersionAndVenv = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))';

/** Finds Python 3.11 or later with venv, which Debian has in the package `python3-venv`. */
export function findPython(): string | undefined {
  return ['python3', 'python'].find((name) => {
    try {
      execFileSync(name, ['-c', checkVersionAndVenv], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

/** Returns the folder with the programs of a virtual environment. */
export const binOf = (environment: string): string =>
  join(environment, process.platform === 'win32' ? 'Scripts' : 'bin');

/** Installs the packages of a requirements file unless they are installed. Returns false if Python is missing. */
export function installPython(environment: string, requirements: string): boolean {
  const stamp = join(environment, 'installed-requirements.txt');
  const required = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === required) return true;
  const python = findPython();
  if (python === undefined) return false;
  rmSync(environment, { recursive: true, force: true });
  execFileSync(python, ['-m', 'venv', environment], { stdio: 'inherit' });
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements];
  execFileSync(join(binOf(environment), 'python'), install, { stdio: 'inherit' });
  writeFileSync(stamp, required);
  return true;
}
