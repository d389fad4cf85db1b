// The tarball of `npm pack`, installed in an empty project.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { freePort } from '../support/free-port.ts';
import { packKeyturn } from '../support/packed.ts';

jest.setTimeout(180_000);

const run = promisify(execFile);
const audience = 'https://orders.example.com';

const typescript = `
import express from 'express';
import { createVerifier, getAuth, requireAuth, requireOwner, requireScope, type AccessClaims } from 'keyturn/verify';

const verifier = createVerifier({ issuer: process.env['ISSUER'] ?? '', audience: '${audience}' });
const app = express();
app.use(requireAuth(verifier, { onError: ({ message }) => console.error(message) }));
app.get('/orders', requireScope('profile'), (req, res) => {
  const claims: AccessClaims = getAuth(req);
  const sub: string | undefined = req.auth?.sub;
  res.send(\`orders of \${sub ?? claims.sub}\`);
});
app.get('/users/:id', requireOwner((req: express.Request<{ id: string }>) => req.params.id), (req, res) => {
  res.send(req.params.id);
});
app.listen(Number(process.env['PORT']), '127.0.0.1');
`;

/** Mistakes in the program: the original text, the replacement, and a part of the compiler's error. */
const mistakes = {
  'a verifier without an audience': ["audience: '" + audience + "' ", '', 'audience'],
  'a misspelled option': ['audience:', 'audiance:', 'audiance'],
  'a claim with the wrong type': ['const sub: string', 'const sub: number', 'number'],
  'claims used without a check': ['req.auth?.sub', 'req.auth.sub', 'possibly'],
  'a scope that is not a string': ["requireScope('profile')", 'requireScope(1)', 'number'],
} as const;

let project: string;
let app: TestApp;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'keyturn-package-'));
  const tarball = await packKeyturn(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await run('npm', ['install', '--prefer-offline', '--no-audit', tarball], { cwd: project });
  const port = await freePort();
  app = await startApp({ ISSUER: `http://127.0.0.1:${port}`, AUDIENCE: audience }, { port });
});
afterAll(async () => {
  await app?.close();
  await rm(project, { recursive: true });
});

test('installs only jose as a dependency', async () => {
  const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'));
  expect(installed.sort()).toEqual(['jose', 'keyturn']);
});

test('contains the exported files with their types, and nothing of the service', async () => {
  const root = join(project, 'node_modules/keyturn');
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { types: string; default: string } | string>;
  };
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `./${relative(root, join(parentPath, name))}`);
  const present = (await readdir('src')).filter((name) => ['verify', 'client'].includes(name));
  for (const name of present) {
    const entry = exports[`./${name}`];
    if (typeof entry !== 'object') throw new Error(`${name} is not exported`);
    expect(files).toEqual(expect.arrayContaining([entry.types, entry.default]));
  }
  const others = files.filter((name) => !/^\.\/dist\/(verify|client)\//.test(name));
  expect(others.sort()).toEqual(['./LICENSE', './README.md', './package.json']);
});

test('npm pack does not change package.json', async () => {
  expect(JSON.parse(await readFile('package.json', 'utf8'))).toHaveProperty('dependencies.express');
});

test('a JavaScript program verifies tokens', async () => {
  const program = `
    import { createVerifier } from 'keyturn/verify';
    const verifier = createVerifier({ issuer: '${app.config.issuer}', audience: '${audience}' });
    for (const token of process.argv.slice(2))
      console.log(await verifier.verify(token).then(({ sub }) => sub, ({ code }) => code));`;
  await writeFile(join(project, 'program.js'), program);
  const { user, access_token: token } = await app.register();
  const { stdout } = await run(process.execPath, ['program.js', token, `${token.slice(0, -8)}AAAAAAAA`], {
    cwd: project,
  });
  expect(stdout.trim().split('\n')).toEqual([user.id, 'invalid_token']);
});

describe('a TypeScript program on Express', () => {
  const installs = { 4: ['express@4', '@types/express@4'], 5: ['express@5', '@types/express@5'] } as const;
  const directoryFor = (major: number) => join(project, `express-${major}`);
  const compile = (directory: string) =>
    run(process.execPath, [
      resolve('node_modules/typescript/bin/tsc'),
      '--project',
      directory,
      '--pretty',
      'false',
    ]).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    );

  test.each([4, 5] as const)('%i compiles, runs, and does not compile with a mistake', async (major) => {
    const directory = directoryFor(major);
    await mkdir(join(directory, 'node_modules'), { recursive: true });
    await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    const packages = [...installs[major], '@types/node@20'];
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--ignore-scripts', ...packages], {
      cwd: directory,
    });
    for (const name of ['keyturn', 'jose'])
      await cp(join(project, 'node_modules', name), join(directory, 'node_modules', name), { recursive: true });
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noEmitOnError: false,
      outDir: 'built',
    };
    await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    await writeFile(join(directory, 'orders.ts'), typescript);
    expect(await compile(directory)).toBe('');

    for (const [index, [right, wrong]] of Object.values(mistakes).entries()) {
      expect(typescript).toContain(right);
      await writeFile(join(directory, `mistake-${index}.ts`), typescript.replace(right, wrong));
    }
    const errors = (await compile(directory)).split('\n');
    for (const [index, [, , message]] of Object.values(mistakes).entries())
      expect(errors).toContainEqual(expect.stringMatching(new RegExp(`^.*mistake-${index}\\.ts.*${message}`)));
    expect(errors.filter((line) => line.includes('orders.ts'))).toEqual([]);

    const port = await freePort();
    const env = { ...process.env, PORT: String(port), ISSUER: app.config.issuer };
    const child = spawn(process.execPath, ['built/orders.js'], { cwd: directory, env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    const get = async (path: string, token?: string): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      for (let tries = 0; tries < 100; tries += 1) {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers }).catch(() => undefined);
        if (response) return response.status;
        await new Promise((wake) => setTimeout(wake, 50));
      }
      throw new Error('the program does not respond');
    };
    const { user, access_token: token } = await app.register();
    const orders = [await get('/orders'), await get('/orders', token), await get('/orders', 'x')];
    const owned = [await get(`/users/${user.id}`, token), await get('/users/other', token)];
    child.kill();
    await ended;
    expect([orders, owned]).toEqual([
      [401, 200, 401],
      [200, 404],
    ]);
  });
});
