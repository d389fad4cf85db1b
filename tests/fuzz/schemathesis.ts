// Schemathesis, from PyPI into a Python environment of its own, and what its report says.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const environment = 'node_modules/.cache/keyturn/schemathesis';
const requirements = 'tests/fuzz/requirements.txt';

const canMakeEnvironments = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))';

/** A Python that is new enough for the pinned Schemathesis and can make environments (Debian: `python3-venv`). */
function findPython(): string | undefined {
  return ['python3', 'python'].find((name) => {
    try {
      execFileSync(name, ['-c', canMakeEnvironments], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs what `requirements.txt` pins unless it is there. undefined: there is no Python to do so with. */
export function installSchemathesis(): string | undefined {
  const bin = join(environment, process.platform === 'win32' ? 'Scripts' : 'bin');
  const stamp = join(environment, 'installed-requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return join(bin, 'schemathesis');
  const python = findPython();
  if (python === undefined) return undefined;
  rmSync(environment, { recursive: true, force: true });
  execFileSync(python, ['-m', 'venv', environment], { stdio: 'inherit' });
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements];
  execFileSync(join(bin, 'python'), install, { stdio: 'inherit' });
  writeFileSync(stamp, wanted);
  return join(bin, 'schemathesis');
}

export interface Fuzzing {
  command: string;
  baseUrl: string;
  as: 'nobody' | 'user';
  seed: string;
  examples: string;
  folder: string;
}

export interface Tested {
  /** `GET /me`, or `Stateful tests` for sequences of requests. */
  name: string;
  passed: boolean;
}

/** Sends requests to every operation with every check on, and tells which operations held. */
export async function fuzz({ command, baseUrl, as, seed, examples, folder }: Fuzzing): Promise<Tested[]> {
  const report = join(folder, `${as}.xml`);
  // From a file: the operation that a document was fetched by would not be tested.
  const document = join(folder, `${as}.json`);
  writeFileSync(document, await (await fetch(`${baseUrl}/openapi.json`)).text());
  const options = {
    '--url': baseUrl,
    '--max-examples': examples,
    '--seed': seed,
    '--workers': '1',
    '--report-junit-path': report,
  };
  const given = Object.entries(options).flat();
  const run = ['--config-file', 'tests/fuzz/schemathesis.toml', '--no-color', 'run', document];
  const child = spawn(command, [...run, ...given, '--continue-on-failure'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      PYTHONPATH: 'tests/fuzz',
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONHASHSEED: '0',
      SCHEMATHESIS_HOOKS: 'hooks',
      FUZZED_URL: baseUrl,
      FUZZED_AS: as,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => child.kill());
  const [status] = (await once(child, 'exit')) as [number | null];
  if (!existsSync(report)) throw new Error(`Schemathesis ended with status ${status} and without a report`);
  return readReport(readFileSync(report, 'utf8'));
}

const testCase = /<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs;

/** Of a JUnit report: a test case passed where nothing stands in it, so one that was skipped did not. */
const readReport = (xml: string): Tested[] =>
  [...xml.matchAll(testCase)].map(([, name = '', inside = '']) => ({ name, passed: inside.trim() === '' }));
