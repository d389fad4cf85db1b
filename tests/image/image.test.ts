// Builds the image from the Dockerfile without a container engine and runs it as its user on read-only files. The files of the base
// image are missing, so the tests use the Node of this machine.
import { type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { cheapHashes, type Settings } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { type BuildContext, readContext } from './build-context.ts';
import { environmentOf, readCompose } from './compose-file.ts';
import { buildImage, type Image, parseDockerfile } from './dockerfile.ts';

const limitMb = 60;

interface Entry {
  /** Below `/app`. */
  path: string;
  mode: number;
  bytes: number;
  writtenMs: number;
  isFile: boolean;
}

interface Lock {
  packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean; link?: boolean }>;
}

interface Manifest {
  name: string;
  description: string;
  license: string;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
}

const json = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, 'utf8')) as T;

let folder: string;
let dockerfile: string;
let context: BuildContext;
let image: Image;
let app: string;
let entries: Entry[] = [];
let manifest: Manifest;

async function list(root: string): Promise<Entry[]> {
  const names = await readdir(root, { recursive: true, withFileTypes: true });
  const found = names
    .filter((entry) => !entry.isSymbolicLink())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mode, size, mtimeMs } = await stat(path);
      return { path: path.slice(root.length + 1), mode, bytes: size, writtenMs: mtimeMs, isFile: entry.isFile() };
    });
  return (await Promise.all(found)).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const below = (path: string) => entries.filter((entry) => entry.path.startsWith(`${path}/`)).map((entry) => entry.path);

beforeAll(async () => {
  folder = await mkdtemp('/tmp/keyturn-image-'); // not os.tmpdir(), which may be private to one user
  await chmod(folder, 0o755);
  manifest = await json('package.json');
  dockerfile = await readFile('Dockerfile', 'utf8');
  context = await readContext('.');
  image = await buildImage(dockerfile, context, folder);
  app = join(image.root, image.workdir);
  entries = await list(app);
});
afterAll(async () => {
  // Only root can remove files from read-only folders.
  if (entries.length > 0) await chmod(app, 0o755);
  for (const { path, isFile } of entries) if (!isFile) await chmod(join(app, path), 0o755);
  await rm(folder, { recursive: true, force: true });
});

describe('the build', () => {
  test('has a context of exactly the files that the Dockerfile copies', () => {
    const copied = parseDockerfile(dockerfile)
      .filter(({ keyword, flags }) => keyword === 'COPY' && !('from' in flags))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    expect(new Set(context.files.map((file) => file.split('/')[0]))).toEqual(new Set(copied));
    expect(context.files.filter((file) => /(^|\/)(\.|node_modules|generated|tests)/.test(file))).toEqual([]);
  });

  test('uses the same slim Node image in every stage', () => {
    const bases = parseDockerfile(dockerfile).filter(({ keyword, rest }) => keyword === 'FROM' && rest.includes(':'));
    expect(bases.map(({ rest }) => rest.split(' ')[0])).toEqual([image.base, image.base]);
    expect(image.base).toMatch(/^node:\d+-\w+-slim$/);
  });
});

describe('the image', () => {
  test(`adds less than ${limitMb} MB to its base`, () => {
    const megabytes = (path: string) =>
      entries.filter((entry) => entry.path.startsWith(path)).reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    const parts = ['node_modules', 'dist', 'data', 'prisma'].map((name) => `${name} ${megabytes(name).toFixed(1)}`);
    process.stderr.write(`The image adds ${megabytes('').toFixed(1)} MB to its base: ${parts.join(', ')}.\n`);
    expect(megabytes('')).toBeLessThan(limitMb);
    expect(megabytes('')).toBeGreaterThan(5);
  });

  test('contains only the files that the service reads', async () => {
    expect((await readdir(app)).sort()).toEqual(['bin', 'data', 'dist', 'node_modules', 'package.json', 'prisma']);
    expect(await readdir(image.root)).toEqual([image.workdir.slice(1)]);
    const migrations = await readdir('prisma/migrations', { recursive: true });
    expect(below('prisma/migrations')).toEqual(migrations.map((name) => `prisma/migrations/${name}`).sort());
    expect(await readdir(join(app, 'prisma'))).toEqual(['migrations']);
    expect(below('dist').filter((path) => !/(\.js|\.js\.map|\/[^.]+)$/.test(path))).toEqual([]);
  });

  test('contains no sources, types, tests, configuration, keys or history', () => {
    const unwanted = /(\.[cm]?ts|\.tsbuildinfo|\.pem|\.key|\.npmrc|\/\.git|\.test\.[cm]?js|(^|\/)\.env[^/]*)$/;
    expect(entries.filter(({ path, isFile }) => isFile && unwanted.test(path)).map(({ path }) => path)).toEqual([]);
    const folders = new Set(entries.filter(({ isFile }) => !isFile).map(({ path }) => path));
    expect([...folders].filter((path) => /^node_modules\/(@[^/]+\/)?[^/@]+\/tests?$/.test(path))).toEqual([]);
    expect(entries.filter(({ path }) => path.startsWith('node_modules') && path.endsWith('.map'))).toEqual([]);
  });

  test('contains the production packages and no development tools', async () => {
    const { packages } = await json<Lock>('package-lock.json');
    const installed = entries
      .map(({ path }) => /^(.*node_modules\/(?:@[^/]+\/)?[^/@][^/]*)\/package\.json$/.exec(path)?.[1])
      .filter((path) => path !== undefined);
    const forProduction = (path: string) => {
      const { dev, devOptional, optional, link } = packages[path] ?? { dev: true };
      return !(dev || devOptional || optional || link) || path.startsWith('node_modules/@node-rs/');
    };
    expect(installed.filter((path) => !forProduction(path))).toEqual([]);
    const expected = Object.keys(manifest.dependencies).map((name) => `node_modules/${name}`);
    expect(expected.filter((path) => !installed.includes(path))).toEqual([]);
    const tools = ['prisma', '@prisma/engines', 'typescript', 'jest'];
    expect(tools.filter((name) => installed.includes(`node_modules/${name}`))).toEqual([]);
  });

  test('contains the native hashers and only the query compiler for Postgres', () => {
    const natives = below('node_modules/@node-rs').filter((path) => path.endsWith('.node'));
    expect(natives).toEqual([expect.stringContaining('/argon2.'), expect.stringContaining('/bcrypt.')]);
    const compilers = below('node_modules/@prisma').filter((path) => path.includes('query_compiler'));
    expect(compilers).toHaveLength(2);
    expect(compilers.filter((path) => !path.includes('.postgresql.'))).toEqual([]);
  });

  test('contains the licenses of its packages', () => {
    const licenses = entries.filter(({ path }) => /(licen[cs]e|notice)[^/]*$/i.test(path)).map(({ path }) => path);
    expect(licenses.length).toBeGreaterThan(100);
    expect(licenses).toContain('node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt');
  });

  test('has only descriptive labels and NODE_ENV', () => {
    expect(image.env).toEqual({ NODE_ENV: 'production' });
    expect(image.labels).toEqual({
      'org.opencontainers.image.title': manifest.name,
      'org.opencontainers.image.description': manifest.description,
      'org.opencontainers.image.licenses': manifest.license,
    });
  });

  test('can be read but not written by the user that runs it', () => {
    expect(image.user).toBe('1000:1000');
    expect(entries.filter(({ mode, isFile }) => (mode & 0o004) === 0 || (!isFile && (mode & 0o001) === 0))).toEqual([]);
    expect(entries.filter(({ mode }) => (mode & 0o022) !== 0)).toEqual([]);
  });

  test('starts like npm start, as process 1', () => {
    expect(['exec', ...image.command].join(' ')).toBe(manifest.scripts['start']);
  });
});

describe('a container', () => {
  const isRoot = process.getuid?.() === 0;
  let database: TestDatabase;
  let settings: Settings;
  let service: ServiceProcess | undefined;

  /** Runs as the user of the image, without writable folders. */
  const asContainer = (): SpawnOptions => {
    const [uid, gid] = image.user.split(':').map(Number);
    const env = { PATH: dirname(process.execPath), ...image.env, HOME: '/nonexistent', TMPDIR: '/nonexistent' };
    return { cwd: app, env, ...(isRoot ? { uid, gid } : {}) };
  };

  async function run([program = '', ...args]: readonly string[], env: Settings) {
    const where = asContainer();
    const child = spawn(program, args, { ...where, env: { ...where.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.setEncoding('utf8').on('data', (text: string) => (output[name] += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...output };
  }

  beforeAll(async () => {
    for (const entry of entries) await chmod(join(app, entry.path), entry.mode & 0o555);
    await chmod(app, 0o555);
    database = await createDatabase();
    const client = new pg.Client(database.url);
    await client.connect();
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public').finally(() => client.end());
    const variables = { MASTER_KEYS: randomBytes(32).toString('base64url'), POSTGRES_PASSWORD: 'in-the-url-below' };
    settings = {
      ...environmentOf('keyturn', variables),
      ...cheapHashes,
      DATABASE_URL: database.url,
      HOST: '127.0.0.1',
      PORT: String(await freePort()),
      // The other services of compose.yaml are not running: counters in memory, no email and no metrics.
      REDIS_URL: '',
      SMTP_URL: '',
      EMAIL_VERIFICATION: 'off',
      METRICS_PORT: '0',
    };
  });
  afterAll(async () => {
    if (service?.child.exitCode === null && service.child.signalCode === null) await service.kill();
    await database.drop();
  });

  test('is unhealthy before it runs', async () => {
    expect(await run(image.healthcheck, settings)).toEqual({ code: 1, stdout: '', stderr: '' });
  });

  test('applies the migrations once with the command of compose.yaml', async () => {
    const command = readCompose().services['migrate']?.command ?? [];
    const names = (await readdir('prisma/migrations')).filter((name) => /^\d/.test(name)).sort();
    const applied = names.map((name) => `applied ${name}\n`).join('');
    expect(await run(command, settings)).toEqual({ code: 0, stdout: applied, stderr: '' });
    expect(await run(command, settings)).toEqual({ code: 0, stdout: 'nothing to apply\n', stderr: '' });
  });

  test('serves sign-up, login, refresh, the account and the JWKS', async () => {
    const where = asContainer();
    service = await startService(settings, {
      ...where,
      env: where.env as Record<string, string>,
      command: image.command,
    });
    await waitUntilReady(service);
    expect((await service.get('/healthz')).body).toEqual({ status: 'ok' });
    const { email } = await service.register();
    const login = await service.login(email);
    const refreshed = await service.refresh(login.body.refresh_token);
    expect([login.status, refreshed.status]).toEqual([200, 200]);
    const me = await service.get('/me', refreshed.body.access_token);
    expect(me.body).toMatchObject({ email });
    const jwks = await service.get('/.well-known/jwks.json');
    expect(jwks.body.keys).toHaveLength(2);
    const [, payload = ''] = String(refreshed.body.access_token).split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ iss: 'https://localhost' });
  });

  test('is healthy according to its HEALTHCHECK', async () => {
    expect(await run(image.healthcheck, settings)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('runs without privileges and keeps no files open', async () => {
    if (process.platform !== 'linux') return; // /proc exists only on Linux
    const proc = `/proc/${service?.child.pid}`;
    const status = await readFile(`${proc}/status`, 'utf8');
    const uid = isRoot ? '1000' : String(process.getuid?.());
    expect(/^Uid:\s(.*)$/m.exec(status)?.[1]).toBe([uid, uid, uid, uid].join('\t'));
    expect(/^CapEff:\s0*(.*)$/m.exec(status)?.[1]).toBe('');
    const descriptors = await readdir(`${proc}/fd`);
    const open = await Promise.all(descriptors.map((name) => readlink(`${proc}/fd/${name}`)));
    expect(open.filter((target) => target.startsWith('/') && target !== '/dev/null')).toEqual([]);
  });

  test('exits with 0 on its STOPSIGNAL and is then unhealthy', async () => {
    const startedMs = performance.now();
    const exit = once(service?.child ?? process, 'exit');
    service?.child.kill(image.stopSignal as NodeJS.Signals);
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(await run(image.healthcheck, settings)).toMatchObject({ code: 1 });
  });

  test('has written no files', async () => {
    const written = (list: Entry[]) => list.map(({ path, bytes, writtenMs }) => `${path} ${bytes} ${writtenMs}`);
    expect(written(await list(app))).toEqual(written(entries));
    expect(await readdir(image.root)).toEqual([image.workdir.slice(1)]);
  });
});
