import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { parseDuration } from '../../src/config-values.ts';
import { composeText, environmentOf, readCompose, requiredVariables, withVariables } from './compose-file.ts';
import { parseDockerfile } from './dockerfile.ts';

const { services, volumes } = readCompose();
const all = Object.entries(services);
const ours = all.filter(([, { build }]) => build !== undefined);
const dockerfile = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
const settings = new Map(
  [...readFileSync('.env.example', 'utf8').matchAll(/^# ([A-Z][A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [
    name,
    value,
  ]),
);

const made = Object.fromEntries(
  [...requiredVariables()].map(([name, how]) => [
    name,
    execFileSync('/bin/sh', ['-c', how], { encoding: 'utf8' }).trim(),
  ]),
);

test('compose.yaml starts the service, its migrations, and what they need', () => {
  expect(Object.keys(services)).toEqual(['keyturn', 'migrate', 'postgres', 'redis', 'mail']);
  expect(ours.map(([name, { build, image }]) => [name, build, image])).toEqual([
    ['keyturn', '.', 'keyturn'],
    ['migrate', '.', 'keyturn'],
  ]);
});

test('every variable that it sets for us is a setting', () => {
  const set = ours.flatMap(([, { environment = {} }]) => Object.keys(environment));
  expect(set.filter((name) => !settings.has(name))).toEqual([]);
});

test('with the variables that it asks for, and no others, production starts', async () => {
  expect(Object.keys(made).sort()).toEqual(['MASTER_KEYS', 'POSTGRES_PASSWORD']);
  const environment = environmentOf('keyturn', made);
  const config = await loadConfig('production', {}, { ...environment, UV_THREADPOOL_SIZE: '64' });
  const { hostname, password } = new URL(config.database.url);
  expect([hostname, password]).toEqual(['postgres', made['POSTGRES_PASSWORD']]);
  expect(config.mail).toMatchObject({ kind: 'smtp', url: 'smtp://mail:1025' });
  expect(environmentOf('migrate', made)).toEqual({ DATABASE_URL: environment['DATABASE_URL'] });
  expect(() => environmentOf('keyturn', {})).toThrow(/^POSTGRES_PASSWORD is missing\. Make one with: /);
});

test('no secret stands in it', () => {
  const values = all.flatMap(([, { environment = {} }]) => Object.entries(environment));
  const secrets = values.filter(([name]) => /PASSWORD|KEYS|SECRET|DATABASE_URL/.test(name));
  expect(secrets.length).toBeGreaterThan(3);
  for (const [name, value] of secrets) {
    expect([name, value]).toEqual([name, expect.stringMatching(/\$\{(MASTER_KEYS|POSTGRES_PASSWORD)\b/)]);
  }
  expect(withVariables(composeText, { MASTER_KEYS: '', POSTGRES_PASSWORD: 'x', ...made })).not.toContain('${');
});

test('images of others are pinned to a major version at least', () => {
  for (const [name, { image }] of all.filter(([, { build }]) => build === undefined)) {
    expect([name, image]).toEqual([name, expect.stringMatching(/:v?\d+[\w.-]*$/)]);
  }
});

test('what is published is published to this machine alone', () => {
  const ports = all.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
  expect(ports).toEqual(['keyturn 127.0.0.1:3000:3000', 'mail 127.0.0.1:8025:8025']);
  const exposed = dockerfile.find(({ keyword }) => keyword === 'EXPOSE')?.rest;
  expect([exposed, settings.get('PORT')]).toEqual(['3000', '3000']);
});

test('a service waits for others that are there, and for health where a health check is', () => {
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

test('the database is kept in a volume, where Postgres 18 has its data', () => {
  expect(services['postgres']).toMatchObject({
    image: expect.stringMatching(/^postgres:18/),
    volumes: ['postgres:/var/lib/postgresql'],
  });
  expect(volumes).toHaveProperty('postgres');
});

describe('what is ours', () => {
  test.each(ours)('%s runs read-only, without capabilities, and gains none', (_, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  });

  test('stops without being cut short', () => {
    const grace = settings.get('SHUTDOWN_GRACE') ?? '';
    const patience = services['keyturn']?.stop_grace_period ?? '';
    expect(parseDuration(patience)).toBeGreaterThan(parseDuration(grace) ?? Infinity);
    expect(services['keyturn']?.environment).not.toHaveProperty('SHUTDOWN_GRACE');
  });

  test('has room for its heap', () => {
    const command = dockerfile.find(({ keyword }) => keyword === 'CMD')?.rest ?? '';
    const heapMib = Number(/--max-old-space-size=(\d+)/.exec(command)?.[1]);
    const limitMib = 1024 * Number(/^(\d+)g$/.exec(services['keyturn']?.mem_limit ?? '')?.[1]);
    expect(limitMib - heapMib).toBeGreaterThanOrEqual(1024);
  });
});
