import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { parseDuration } from '../../src/config/values.ts';
import { composeText, environmentOf, readCompose, requiredVariables, withVariables } from './compose-file.ts';
import { parseDockerfile } from './dockerfile.ts';

const { services, volumes } = readCompose();
const all = Object.entries(services);
const ownServices = all.filter(([, { build }]) => build !== undefined);
const dockerfile = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
const settings = new Map(
  [...readFileSync('.env.example', 'utf8').matchAll(/^# ([A-Z][A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [
    name,
    value,
  ]),
);

const generated = Object.fromEntries(
  [...requiredVariables()].map(([name, how]) => [
    name,
    execFileSync('/bin/sh', ['-c', how], { encoding: 'utf8' }).trim(),
  ]),
);

test('compose.yaml starts the service, its migrations and their dependencies', () => {
  expect(Object.keys(services)).toEqual(['keyturn', 'migrate', 'postgres', 'redis', 'mail']);
  expect(ownServices.map(([name, { build, image }]) => [name, build, image])).toEqual([
    ['keyturn', '.', 'keyturn'],
    ['migrate', '.', 'keyturn'],
  ]);
});

test('compose.yaml sets only documented variables of the service', () => {
  const set = ownServices.flatMap(([, { environment = {} }]) => Object.keys(environment));
  expect(set.filter((name) => !settings.has(name))).toEqual([]);
});

test('the required variables are sufficient for production', async () => {
  expect(Object.keys(generated).sort()).toEqual(['MASTER_KEYS', 'POSTGRES_PASSWORD']);
  const environment = environmentOf('keyturn', generated);
  const config = await loadConfig('production', {}, { ...environment, UV_THREADPOOL_SIZE: '64' });
  const { hostname, password } = new URL(config.database.url);
  expect([hostname, password]).toEqual(['postgres', generated['POSTGRES_PASSWORD']]);
  expect(config.mail).toMatchObject({ kind: 'smtp', url: 'smtp://mail:1025' });
  expect(environmentOf('migrate', generated)).toEqual({ DATABASE_URL: environment['DATABASE_URL'] });
  expect(() => environmentOf('keyturn', {})).toThrow(/^POSTGRES_PASSWORD is missing\. Make one with: /);
});

test('compose.yaml contains no secrets', () => {
  const values = all.flatMap(([, { environment = {} }]) => Object.entries(environment));
  const secrets = values.filter(([name]) => /PASSWORD|KEYS|SECRET|DATABASE_URL/.test(name));
  expect(secrets.length).toBeGreaterThan(3);
  for (const [name, value] of secrets) {
    expect([name, value]).toEqual([name, expect.stringMatching(/\$\{(MASTER_KEYS|POSTGRES_PASSWORD)\b/)]);
  }
  expect(withVariables(composeText, { MASTER_KEYS: '', POSTGRES_PASSWORD: 'x', ...generated })).not.toContain('${');
});

test('third-party images are pinned to a major version', () => {
  for (const [name, { image }] of all.filter(([, { build }]) => build === undefined)) {
    expect([name, image]).toEqual([name, expect.stringMatching(/:v?\d+[\w.-]*$/)]);
  }
});

test('ports are published only on the loopback interface', () => {
  const ports = all.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
  expect(ports).toEqual(['keyturn 127.0.0.1:3000:3000', 'mail 127.0.0.1:8025:8025']);
  const exposed = dockerfile.find(({ keyword }) => keyword === 'EXPOSE')?.rest;
  expect([exposed, settings.get('PORT')]).toEqual(['3000', '3000']);
});

test('services wait for their dependencies to be healthy or completed', () => {
  const waits = all.flatMap(([name, { depends_on = {} }]) =>
    Object.entries(depends_on).map(([other, { condition }]) => `${name} ${other} ${condition}`),
  );
  expect(waits).toEqual([
    'keyturn migrate service_completed_successfully',
    'keyturn redis service_healthy',
    'keyturn mail service_started',
    'migrate postgres service_healthy',
  ]);
  for (const name of ['redis', 'postgres']) expect(services[name]?.healthcheck?.test?.[0]).toBe('CMD');
});

test('the data directory of Postgres 18 is a volume', () => {
  expect(services['postgres']).toMatchObject({
    image: expect.stringMatching(/^postgres:18/),
    volumes: ['postgres:/var/lib/postgresql'],
  });
  expect(volumes).toHaveProperty('postgres');
});

describe('the image of the service', () => {
  test.each(ownServices)('%s runs read-only and without capabilities', (_, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  });

  test('has a stop timeout longer than SHUTDOWN_DELAY and SHUTDOWN_GRACE together', () => {
    const seconds = (name: string) => parseDuration(settings.get(name) ?? '') ?? Infinity;
    const stopTimeout = services['keyturn']?.stop_grace_period ?? '';
    expect(parseDuration(stopTimeout)).toBeGreaterThan(seconds('SHUTDOWN_DELAY') + seconds('SHUTDOWN_GRACE'));
    expect(services['keyturn']?.environment).not.toHaveProperty('SHUTDOWN_DELAY');
    expect(services['keyturn']?.environment).not.toHaveProperty('SHUTDOWN_GRACE');
  });

  test('has a memory limit larger than its heap', () => {
    const command = dockerfile.find(({ keyword }) => keyword === 'CMD')?.rest ?? '';
    const heapMib = Number(/--max-old-space-size=(\d+)/.exec(command)?.[1]);
    const limitMib = 1024 * Number(/^(\d+)g$/.exec(services['keyturn']?.mem_limit ?? '')?.[1]);
    expect(limitMib - heapMib).toBeGreaterThanOrEqual(1024);
  });
});
