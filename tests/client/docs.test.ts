// The code in docs/clients.md and the example app runs or type-checks, and the tables are complete.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { displayName } from './support.ts';

interface Enum {
  enum: string[];
}

const run = promisify(execFile);
const page = await readFile('docs/clients.md', 'utf8');
const snippet = (name: string): string => new RegExp(`\`\`\`js ${name}\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? '';

/** Returns the codes in the first column of the table whose heading is `heading`. */
function codesInTable(heading: string): string[] {
  const rows = page.split(new RegExp(`^\\| \`${heading}\``, 'm'))[1]?.split('\n\n')[0] ?? '';
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

test('the documented program stays signed in across restarts and keeps its token in a private file', async () => {
  const email = freshEmail();
  const code = snippet('program')
    .replace('keyturn/client', './client/index.js')
    .replace('http://localhost:3000', app.baseUrl);
  const registration = JSON.stringify({ email, password, display_name: displayName });
  const main = `
    const session = (await auth.resume()) ?? ((await auth.register(${registration})), auth.session);
    console.log(session.sessionId, (await auth.fetch('/me')).status);`;
  await writeFile(join(folder, 'program.mjs'), `${code}\n${main}`);
  const start = async () => (await run(process.execPath, ['program.mjs'], { cwd: folder, timeout: 20_000 })).stdout;
  const first = await start();
  expect(first).toMatch(/^[\da-f-]{36} 200\n$/);
  expect([await start(), await start()]).toEqual([first, first]);
  expect((await stat(join(folder, 'refresh-token'))).mode & 0o777).toBe(0o600);
  expect(generationOf(await readFile(join(folder, 'refresh-token'), 'utf8'))).toBe(2);
});

const declarations = `
declare module 'expo-secure-store' {
  export function getItemAsync(key: string): Promise<string | null>;
  export function setItemAsync(key: string, value: string): Promise<void>;
  export function deleteItemAsync(key: string): Promise<void>;
}
declare function showLogin(reason?: import('keyturn/client').SignedOutReason): void;
declare function showAccount(sessionId: string): void;
`;

test('the snippets and the client type-check with the DOM and without the types of Node', async () => {
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
  await writeFile(join(folder, 'declarations.d.ts'), declarations);
  const compile = () =>
    run('node_modules/.bin/tsc', ['-p', folder]).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    );
  for (const name of ['spa', 'mobile']) await writeFile(join(folder, `${name}.js`), snippet(name));
  expect(await compile()).toBe('');
  await writeFile(join(folder, 'spa.js'), snippet('spa').replace('baseUrl', 'url'));
  expect(await compile()).toMatch(/spa\.js.*'url' does not exist in type/);
});

test('the tables list every code of the client and every sign-out reason', async () => {
  const [errors, openapi] = await Promise.all([
    readFile('src/client/errors.ts', 'utf8'),
    readFile('openapi.yaml', 'utf8'),
  ]);
  const unionOf = (type: string) =>
    [...(new RegExp(`type ${type} =([\\s\\S]*?);`).exec(errors)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
      ([, member = '']) => member,
    );
  const clientCodes = unionOf('ClientErrorCode');
  const codes = codesInTable('code');
  expect(codes).toEqual(expect.arrayContaining(clientCodes));
  expect(codes.filter((code) => !clientCodes.includes(code) && !openapi.includes(code))).toEqual([]);

  const reasons = unionOf('SignedOutReason');
  expect(new Set(codesInTable('reason'))).toEqual(new Set(reasons));
  const document = parse(openapi) as { components: { schemas: { Problem: { properties: { reason: Enum } } } } };
  const reasonsOfService = document.components.schemas.Problem.properties.reason.enum;
  expect(reasonsOfService).toHaveLength(4);
  expect(reasons).toEqual(expect.arrayContaining(reasonsOfService));
});

test('the table of lost responses lists every operation of openapi.yaml, and no other', async () => {
  const { paths } = parse(await readFile('openapi.yaml', 'utf8')) as { paths: Record<string, Record<string, unknown>> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const [, section = ''] = /^## After a lost response$([\s\S]*?)^## /m.exec(page) ?? [];
  const cells = section.split('\n').flatMap((line) => (line.startsWith('| ') ? [line.split('|')[1] ?? ''] : []));
  const listed = cells.flatMap((cell) => [...cell.matchAll(/`([A-Z]+ \/[^`]*)`/g)].map(([, name = '']) => name));
  expect(new Set(listed)).toEqual(new Set(operations));
  // Only `/token` has several rows, one for each grant type.
  expect(listed.filter((name, index) => listed.indexOf(name) !== index)).toEqual(['POST /token']);
});

test('the example app is short, works with a strict Content-Security-Policy and labels every field', async () => {
  const script = await readFile('examples/spa/app.js', 'utf8');
  expect(script.split('\n').length).toBeLessThan(150);
  const html = await readFile('examples/spa/index.html', 'utf8');
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
  const fields = html.match(/<input\b/g) ?? [];
  expect(fields).toHaveLength(4);
  expect(html.match(/<label[^>]*>[^<]*<input\b[^>]*>[^<]*<\/label>/g)).toHaveLength(fields.length);
  expect(script).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|eval\(/);
  const [, messages = ''] = /const signedOutMessages = {([\s\S]*?)};/.exec(script) ?? [];
  expect(new Set([...messages.matchAll(/^\s*(\w+):/gm)].map(([, reason]) => reason))).toEqual(
    new Set(codesInTable('reason')),
  );
});
