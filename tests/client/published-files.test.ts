// The published files in plain Node, without jest, TypeScript and the service's dependencies.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';

const run = promisify(execFile);

let app: TestApp;
let folder: string;
beforeAll(async () => {
  app = await startApp();
  folder = await mkdtemp(join(tmpdir(), 'keyturn-client-'));
  await cp('dist/client', join(folder, 'client'), { recursive: true });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await app.close();
});

const program = `
import { createClient, KeyturnError } from './client/index.js';

const [, , baseUrl, email, password] = process.argv;
let stored;
const storage = { get: () => stored, set: (token) => void (stored = token), remove: () => void (stored = undefined) };
const create = () => createClient({ baseUrl, transport: 'body', storage, onSignedOut: (reason) => console.log(reason) });

const user = await create().register({ email, password, display_name: 'Ada Lovelace' });
const client = create();
console.log((await client.resume()).scope);
console.log((await (await client.fetch('/me')).json()).id === user.id);
await client.logout();
console.log(await client.login({ email, password: 'wrong' }).catch((e) => e instanceof KeyturnError && e.code));
`;

test('dist/client runs in plain Node and does not keep the process alive', async () => {
  await writeFile(join(folder, 'program.mjs'), program);
  const args = [join(folder, 'program.mjs'), app.baseUrl, freshEmail(), password];
  const { stdout, stderr } = await run(process.execPath, args, { timeout: 20_000 });
  expect(stdout.trim().split('\n')).toEqual(['profile sessions', 'true', 'logged_out', 'invalid_credentials']);
  expect(stderr).toBe('');
});

test('dist/client is plain ESM that imports only its own files', async () => {
  const names = (await readdir('dist/client')).filter((name) => name.endsWith('.js'));
  expect(names).toContain('index.js');
  for (const name of names) {
    const code = await readFile(join('dist/client', name), 'utf8');
    for (const [, specifier = ''] of code.matchAll(/\bfrom '([^']+)'|\bimport\(/g)) {
      expect(specifier).toMatch(/^\.\/[\w-]+\.js$/);
      expect(names).toContain(specifier.slice(2));
    }
  }
});
