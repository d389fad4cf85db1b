// docs/clients.md and the example app: their code runs or type-checks, and their tables are complete.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { generationOf } from '../support/refresh-tokens.ts';

const run = promisify(execFile);
const document = await readFile('docs/clients.md', 'utf8');
const snippet = (name: string): string => new RegExp(`\`\`\`js ${name}\n([\\s\\S]*?)\`\`\``).exec(document)?.[1] ?? '';

/** The code in backticks of a table's first column. */
function codesOf(table: string): string[] {
  const rows = document.split(new RegExp(`^\\| \`${table}\``, 'm'))[1]?.split('\n\n')[0] ?? '';
  const cells = rows
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, code = '']) => code));
}

let app: TestApp;
let folder: string;
beforeAll(async () => {
  app = await startApp();
  folder = await mkdtemp(join(tmpdir(), 'keyturn-clients-'));
  await cp('dist/client', join(folder, 'client'), { recursive: true });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await app.close();
});

test('the program of the document stays signed in over restarts, with a token file that only it can read', async () => {
  const email = freshEmail();
  const code = snippet('program')
    .replace('keyturn/client', './client/index.js')
    .replace('http://localhost:3000', app.baseUrl);
  const registration = JSON.stringify({ email, password, display_name: 'Ada Lovelace' });
  const call = `
    const session = (await auth.resume()) ?? ((await auth.register(${registration})), auth.session);
    console.log(session.sessionId, (await auth.fetch('/me')).status);`;
  await writeFile(join(folder, 'program.mjs'), `${code}\n${call}`);
  const start = async () => (await run(process.execPath, ['program.mjs'], { cwd: folder, timeout: 20_000 })).stdout;
  const first = await start();
  expect(first).toMatch(/^[\da-f-]{36} 200\n$/);
  expect([await start(), await start()]).toEqual([first, first]);
  expect((await stat(join(folder, 'refresh-token'))).mode & 0o777).toBe(0o600);
  expect(generationOf(await readFile(join(folder, 'refresh-token'), 'utf8'))).toBe(2);
});

const surroundings = `
declare module 'expo-secure-store' {
  export function getItemAsync(key: string): Promise<string | null>;
  export function setItemAsync(key: string, value: string): Promise<void>;
  export function deleteItemAsync(key: string): Promise<void>;
}
declare function showLogin(reason?: import('keyturn/client').SignedOutReason): void;
declare function showAccount(sessionId: string): void;
`;

test('the snippets type-check where there are a DOM and no types of Node, and so does the client itself', async () => {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022', 'dom'],
    types: [],
    allowImportingTsExtensions: true,
    paths: { 'keyturn/client': [resolve('src/client/index.ts')] },
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.js', '*.d.ts'] }));
  await writeFile(join(folder, 'surroundings.d.ts'), surroundings);
  const check = () =>
    run('node_modules/.bin/tsc', ['-p', folder]).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    );
  for (const name of ['spa', 'mobile']) await writeFile(join(folder, `${name}.js`), snippet(name));
  expect(await check()).toBe('');
  await writeFile(join(folder, 'spa.js'), snippet('spa').replace('baseUrl', 'url'));
  expect(await check()).toMatch(/spa\.js.*'url' does not exist in type/);
});

test('the tables name every code and every reason that an app can meet', async () => {
  const [errors, problem] = await Promise.all([
    readFile('src/client/errors.ts', 'utf8'),
    readFile('src/http/schemas.ts', 'utf8'),
  ]);
  const unionOf = (name: string) =>
    [...(new RegExp(`type ${name} =([\\s\\S]*?);`).exec(errors)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
      ([, code]) => code,
    );
  const codes = codesOf('code');
  expect(codes).toEqual(expect.arrayContaining(unionOf('OwnCode')));
  const openapi = await readFile('openapi.yaml', 'utf8');
  const unknown = codes.filter((code) => !unionOf('OwnCode').includes(code) && !openapi.includes(code));
  expect(unknown).toEqual([]);
  expect(new Set(codesOf('reason'))).toEqual(new Set(unionOf('SignedOutReason')));
  const [, published = ''] =
    /\.enum\(\[([^\]]*)\]\)\s*\.optional\(\)\s*\.meta\({ description: 'Why a genuine/.exec(problem) ?? [];
  const reasons = [...published.matchAll(/'(\w+)'/g)].map(([, reason]) => reason);
  expect(reasons).toHaveLength(4);
  expect(unionOf('SignedOutReason')).toEqual(expect.arrayContaining(reasons));
});

test('the example app is small, has no inline script or style, and labels every field', async () => {
  const names = await readdir('examples/spa');
  const files = await Promise.all(names.map((name) => readFile(join('examples/spa', name), 'utf8')));
  expect(files.join('').split('\n').length).toBeLessThan(150);
  const html = await readFile('examples/spa/index.html', 'utf8');
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
  const fields = html.match(/<input\b/g) ?? [];
  expect(fields).toHaveLength(4);
  expect(html.match(/<label[^>]*>[^<]*<input\b[^>]*>[^<]*<\/label>/g)).toHaveLength(fields.length);
  const script = await readFile('examples/spa/app.js', 'utf8');
  expect(script).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|eval\(/);
  const [, reasons = ''] = /const why = {([\s\S]*?)};/.exec(script) ?? [];
  expect(new Set([...reasons.matchAll(/^\s*(\w+):/gm)].map(([, reason]) => reason))).toEqual(
    new Set(codesOf('reason')),
  );
});
