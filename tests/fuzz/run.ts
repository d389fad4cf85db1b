// npm run test:fuzz [-- --seed 1 --examples 60]: sends valid and invalid requests, generated from the OpenAPI document, to the
// built service, once without a token and once with a valid one. Validates every response against the document.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDatabase } from '../support/database.ts';
import globalSetup from '../support/global-setup.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { fuzz, type Fuzzing, installSchemathesis, type Tested } from './schemathesis.ts';

/** The exit status of a skipped test in Automake. */
const notRun = 77;

const { values: options } = parseArgs({
  options: { seed: { type: 'string', default: '20261122' }, examples: { type: 'string', default: '60' } },
});

/** No limits, so that the thousandth request in a minute is handled like the first. */
const unlimited = Object.fromEntries([
  ...['LOGIN', 'REGISTER', 'REFRESH', 'MAIL', 'DEFAULT'].map((group) => [`RATE_LIMIT_${group}`, '1000000/1m']),
  ...['ATTEMPTS', 'TOTAL'].map((count) => [`LOCKOUT_${count}`, '1000000']),
]) as Record<string, string>;

const services = new Set<ServiceProcess>();
process.once('exit', () => services.forEach(({ child }) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

/** A warning, an error, or output that is not JSON, such as the stack trace of a crash. */
const isProblem = (line: string) =>
  !line.startsWith('{') || ['warn', 'error', 'fatal'].includes((JSON.parse(line) as { level: string }).level);

const operationsOf = async (baseUrl: string): Promise<string[]> => {
  const document = (await (await fetch(`${baseUrl}/openapi.json`)).json()) as { paths: Record<string, object> };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
};

/** Starts a database and a service for each user, so that their requests do not affect each other. */
async function fuzzAs(as: Fuzzing['as'], command: string, folder: string): Promise<Tested[]> {
  console.log(`\nSchemathesis as ${as}, seed ${options.seed}`);
  const database = await createDatabase();
  // With its own pages the service would accept GET on documented paths for which the document has only POST.
  const settings = {
    ...unlimited,
    DATABASE_URL: database.url,
    METRICS_PORT: '0',
    APP_URL: 'https://app.example.com',
  };
  const service = await startService(settings);
  services.add(service);
  await waitUntilReady(service);
  const tested = await fuzz({ command, baseUrl: service.baseUrl, as, folder, ...options });
  const untested = (await operationsOf(service.baseUrl)).filter((name) => !tested.some((test) => test.name === name));
  await service.stop();
  services.delete(service);
  for (const line of service.lines.filter(isProblem)) console.log(line);
  await database.drop();
  return [...tested, ...untested.map((name) => ({ name, passed: false }))];
}

async function main(): Promise<number> {
  const command = installSchemathesis();
  if (command === undefined) {
    console.log('Tests: skipped, because Python 3.11 or newer with venv is not installed');
    return notRun;
  }
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-fuzz-'));
  await globalSetup();
  const anonymous = await fuzzAs('anonymous', command, folder);
  const user = await fuzzAs('user', command, folder);
  await globalThis.undoGlobalSetup?.();
  await rm(folder, { recursive: true });

  const named = (tested: Tested[], principal: string) =>
    tested.map(({ name, passed }) => ({ name: `${name} ${principal}`, passed }));
  const tests = [...named(anonymous, 'without a token'), ...named(user, 'with a token')];
  for (const { name, passed } of tests) console.log(`${passed ? '✓' : '✗'} ${name}`);
  const failed = tests.filter(({ passed }) => !passed).length;
  console.log(`Seed:  ${options.seed}\nTests: ${tests.length - failed} passed, ${failed} failed`);
  return failed === 0 && tests.length > 0 ? 0 : 1;
}

process.exitCode = await main();
