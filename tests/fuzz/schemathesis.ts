// Installs Schemathesis from PyPI into its own Python environment, runs it and reads its report.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binOf, installPython } from '../support/python.ts';

const environment = 'node_modules/.cache/keyturn/schemathesis';
const requirements = 'tests/fuzz/requirements.txt';

/** Installs the versions of `requirements.txt`. Undefined if Python is not available. */
export const installSchemathesis = (): string | undefined =>
  installPython(environment, requirements) ? join(binOf(environment), 'schemathesis') : undefined;

export interface Fuzzing {
  command: string;
  baseUrl: string;
  as: 'anonymous' | 'user';
  seed: string;
  examples: string;
  folder: string;
}

export interface Tested {
  /** `GET /me`, or `Stateful tests` for sequences of requests. */
  name: string;
  passed: boolean;
}

/** Sends requests to every operation with all checks enabled. Returns which operations passed. */
export async function fuzz({ command, baseUrl, as, seed, examples, folder }: Fuzzing): Promise<Tested[]> {
  const report = join(folder, `${as}.xml`);
  // A file, because Schemathesis does not test the operation that it fetched the document from.
  const document = join(folder, `${as}.json`);
  writeFileSync(document, await (await fetch(`${baseUrl}/openapi.json`)).text());
  const options = {
    '--url': baseUrl,
    '--max-examples': examples,
    '--seed': seed,
    '--workers': '1',
    '--report-junit-path': report,
  };
  const flags = Object.entries(options).flat();
  const run = ['--config-file', 'tests/fuzz/schemathesis.toml', '--no-color', 'run', document];
  const child = spawn(command, [...run, ...flags, '--continue-on-failure'], {
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

/** Reads a JUnit report. A test case passed if its element is empty; skipped ones are not. */
const readReport = (xml: string): Tested[] =>
  [...xml.matchAll(testCase)].map(([, name = '', inside = '']) => ({ name, passed: inside.trim() === '' }));
