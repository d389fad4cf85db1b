// The image, built from the Dockerfile as written and run as its user on files that nobody may write. No container
// engine is needed, and none of it is taken on trust but this: the base image's own files are not there, so the Node of
// this machine stands for the one that FROM names.
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
import { type ServiceProcess, startService, whenReady } from '../support/service.ts';
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
  // Who is not root can take nothing out of a folder that is not writable.
  if (entries.length > 0) await chmod(app, 0o755);
  for (const { path, isFile } of entries) if (!isFile) await chmod(join(app, path), 0o755);
  await rm(folder, { recursive: true, force: true });
});

describe('the build', () => {
  test('is sent what the Dockerfile copies, and nothing else', () => {
    const copied = parseDockerfile(dockerfile)
      .filter(({ keyword, flags }) => keyword === 'COPY' && !('from' in flags))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    expect(new Set(context.files.map((file) => file.split('/')[0]))).toEqual(new Set(copied));
    expect(context.files.filter((file) => /(^|\/)(\.|node_modules|generated|tests)/.test(file))).toEqual([]);
  });

  test('begins with a slim Node of one major version in every stage', () => {
    const bases = parseDockerfile(dockerfile).filter(({ keyword, rest }) => keyword === 'FROM' && rest.includes(':'));
    expect(bases.map(({ rest }) => rest.split(' ')[0])).toEqual([image.base, image.base]);
    expect(image.base).toMatch(/^node:\d+-\w+-slim$/);
  });
});

describe('the image', () => {
  test(`is smaller than ${limitMb} MB, without its base`, () => {
    const megabytes = (path: string) =>
      entries.filter((entry) => entry.path.startsWith(path)).reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    const parts = ['node_modules', 'dist', 'data', 'prisma'].map((name) => `${name} ${megabytes(name).toFixed(1)}`);
    process.stderr.write(`The image adds ${megabytes('').toFixed(1)} MB to its base: ${parts.join(', ')}.\n`);
    expect(megabytes('')).toBeLessThan(limitMb);
    expect(megabytes('')).toBeGreaterThan(5);
  });

  test('holds what the service reads, and nothing else', async () => {
    expect((await readdir(app)).sort()).toEqual(['bin', 'data', 'dist', 'node_modules', 'package.json', 'prisma']);
    expect(await readdir(image.root)).toEqual([image.workdir.slice(1)]);
    const migrations = await readdir('prisma/migrations', { recursive: true });
    expect(below('prisma/migrations')).toEqual(migrations.map((name) => `prisma/migrations/${name}`).sort());
    expect(await readdir(join(app, 'prisma'))).toEqual(['migrations']);
    expect(below('dist').filter((path) => !/(\.js|\.js\.map|\/[^.]+)$/.test(path))).toEqual([]);
  });

  test('has no sources, types, tests, settings, keys or history', () => {
    const unwanted = /(\.[cm]?ts|\.tsbuildinfo|\.pem|\.key|\.npmrc|\/\.git|\.test\.[cm]?js|(^|\/)\.env[^/]*)$/;
    expect(entries.filter(({ path, isFile }) => isFile && unwanted.test(path)).map(({ path }) => path)).toEqual([]);
    const folders = new Set(entries.filter(({ isFile }) => !isFile).map(({ path }) => path));
    expect([...folders].filter((path) => /^node_modules\/(@[^/]+\/)?[^/@]+\/tests?$/.test(path))).toEqual([]);
    expect(entries.filter(({ path }) => path.startsWith('node_modules') && path.endsWith('.map'))).toEqual([]);
  });

  test('has the packages that production needs, and no tool of development', async () => {
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

  test("has the native hashers, and no other database's query compiler", () => {
    const natives = below('node_modules/@node-rs').filter((path) => path.endsWith('.node'));
    expect(natives).toEqual([expect.stringContaining('/argon2.'), expect.stringContaining('/bcrypt.')]);
    const compilers = below('node_modules/@prisma').filter((path) => path.includes('query_compiler'));
    expect(compilers).toHaveLength(2);
    expect(compilers.filter((path) => !path.includes('.postgresql.'))).toEqual([]);
  });

  test('keeps the licences of what it ships', () => {
    const licences = entries.filter(({ path }) => /(licen[cs]e|notice)[^/]*$/i.test(path)).map(({ path }) => path);
    expect(licences.length).toBeGreaterThan(100);
    expect(licences).toContain('node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt');
  });

  test('tells nothing but what it is', () => {
    expect(image.env).toEqual({ NODE_ENV: 'production' });
    expect(image.labels).toEqual({
      'org.opencontainers.image.title': manifest.name,
      'org.opencontainers.image.description': manifest.description,
      'org.opencontainers.image.licenses': manifest.license,
    });
  });

  test('belongs to another user than the one that runs it, who may read all of it and write none', () => {
    expect(image.user).toBe('1000:1000');
    expect(entries.filter(({ mode, isFile }) => (mode & 0o004) === 0 || (!isFile && (mode & 0o001) === 0))).toEqual([]);
    expect(entries.filter(({ mode }) => (mode & 0o022) !== 0)).toEqual([]);
  });

  test('starts as npm start does, as process 1', () => {
    expect(['exec', ...image.command].join(' ')).toBe(manifest.scripts['start']);
  });
});

describe('a container', () => {
  const isRoot = process.getuid?.() === 0;
  let database: TestDatabase;
  let settings: Settings;
  let service: ServiceProcess | undefined;

  /** As its user, in a place where nothing can be written, with the settings of compose.yaml. */
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
      // The rest of the composition is not here: counters in memory, no mail, and no second listener.
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

  test('is not healthy before it runs', async () => {
    expect(await run(image.healthcheck, settings)).toEqual({ code: 1, stdout: '', stderr: '' });
  });

  test("applies the migrations by compose.yaml's command, once", async () => {
    const command = readCompose().services['migrate']?.command ?? [];
    const names = (await readdir('prisma/migrations')).filter((name) => /^\d/.test(name)).sort();
    const applied = names.map((name) => `applied ${name}\n`).join('');
    expect(await run(command, settings)).toEqual({ code: 0, stdout: applied, stderr: '' });
    expect(await run(command, settings)).toEqual({ code: 0, stdout: 'nothing to apply\n', stderr: '' });
  });

  test('serves: register, log in, refresh, who am I, and the keys to verify with', async () => {
    const where = asContainer();
    service = await startService(settings, {
      ...where,
      env: where.env as Record<string, string>,
      command: image.command,
    });
    await whenReady(service);
    expect((await service.get('/healthz')).body).toEqual({ status: 'ok' });
    const { email } = await service.register();
    const login = await service.login(email);
    const turned = await service.refresh(login.body.refresh_token);
    expect([login.status, turned.status]).toEqual([200, 200]);
    const me = await service.get('/me', turned.body.access_token);
    expect(me.body).toMatchObject({ email });
    const jwks = await service.get('/.well-known/jwks.json');
    expect(jwks.body.keys).toHaveLength(2);
    const [, payload = ''] = String(turned.body.access_token).split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ iss: 'https://localhost' });
  });

  test('is healthy by its own HEALTHCHECK', async () => {
    expect(await run(image.healthcheck, settings)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('runs without privileges, and keeps no file open', async () => {
    if (process.platform !== 'linux') return; // only there is /proc
    const proc = `/proc/${service?.child.pid}`;
    const status = await readFile(`${proc}/status`, 'utf8');
    const uid = isRoot ? '1000' : String(process.getuid?.());
    expect(/^Uid:\s(.*)$/m.exec(status)?.[1]).toBe([uid, uid, uid, uid].join('\t'));
    expect(/^CapEff:\s0*(.*)$/m.exec(status)?.[1]).toBe('');
    const descriptors = await readdir(`${proc}/fd`);
    const open = await Promise.all(descriptors.map((name) => readlink(`${proc}/fd/${name}`)));
    expect(open.filter((target) => target.startsWith('/') && target !== '/dev/null')).toEqual([]);
  });

  test('stops by its STOPSIGNAL with 0, and is not healthy any more', async () => {
    const startedMs = performance.now();
    const exit = once(service?.child ?? process, 'exit');
    service?.child.kill(image.stopSignal as NodeJS.Signals);
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(await run(image.healthcheck, settings)).toMatchObject({ code: 1 });
  });

  test('has written nothing', async () => {
    const written = (list: Entry[]) => list.map(({ path, bytes, writtenMs }) => `${path} ${bytes} ${writtenMs}`);
    expect(written(await list(app))).toEqual(written(entries));
    expect(await readdir(image.root)).toEqual([image.workdir.slice(1)]);
  });
});
