import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { password, startApp, type TestApp } from './harness.ts';
import { createDatabase } from './support/database.ts';
import { freePort } from './support/free-port.ts';
import { startMailServer } from './support/mail-server.ts';
import { startService, waitUntilReady } from './support/service.ts';

const run = promisify(execFile);
const readme = await readFile('README.md', 'utf8');
const gettingStarted = await readFile('docs/getting-started.md', 'utf8');
const endpoints = await readFile('docs/endpoints.md', 'utf8');
const manifest = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> };

/** The code of a section's blocks in one language. */
function blocks(page: string, section: string, language: string): string[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(section)) ?? '';
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code ?? '');
}

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** Runs the commands of a section and returns the JSON document that each of them prints. */
async function jsonPrintedBy(page: string, section: string): Promise<object[]> {
  const script = blocks(page, section, 'sh')
    .join("\nprintf '\\n'\n")
    .replaceAll('http://localhost:3000', app.baseUrl)
    .replaceAll('ada@example.com', `${section.replaceAll(' ', '-')}@example.com`);
  const { stdout } = await run('sh', ['-c', script]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as object);
}

const keysOf = (documents: object[]) => documents.map((document) => Object.keys(document));

test('the README fits on two pages', () => {
  expect(readme.split('\n').length - 1).toBeLessThanOrEqual(120);
});

test("the README's first token works, and the response has the members that it shows", async () => {
  const [registration, account] = await jsonPrintedBy(readme, 'Try it');
  expect(account).toMatchObject({ display_name: 'Ada Lovelace' });
  const shown = blocks(readme, 'Try it', 'json').map((json) => JSON.parse(json) as object);
  expect(keysOf([registration ?? {}])).toEqual(keysOf(shown));
});

test('the first commands of "Getting started" work, and the responses have the members that the page shows', async () => {
  const responses = await jsonPrintedBy(gettingStarted, 'Tokens');
  const shown = blocks(gettingStarted, 'Tokens', 'json').map((json) => JSON.parse(json) as object);
  expect(keysOf(responses)).toEqual(keysOf(shown));
});

test('the account flows work as written, with a mailbox that a server of its own fills', async () => {
  const mails = await startMailServer();
  const database = await createDatabase();
  const service = await startService({
    DATABASE_URL: database.url,
    EMAIL_VERIFICATION: 'optional',
    RATE_LIMIT_MAIL: '10/15m', // the default
    SMTP_URL: mails.url,
    MAIL_FROM: 'Keyturn <keyturn@example.com>',
  });
  await waitUntilReady(service);
  const ada = { email: 'ada@example.com', password, display_name: 'Ada Lovelace' };
  expect((await service.post('/register', ada)).status).toBe(201);
  const used = new Set<string>();
  /** The token of the link that a block follows, once it has come. */
  const tokenFor = async (block: string): Promise<string> => {
    const [, page = ''] = /localhost:3000(\/[\w-]+)/.exec(block) ?? [];
    for (let tries = 0; tries < 200; tries += 1) {
      const mail = mails.received.findLast(({ link, token }) => link?.includes(`${page}?`) && !used.has(token ?? ''));
      if (mail?.token) return mail.token;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no mail has a link to ${page}`);
  };
  let accessToken = '';
  const responses: string[] = [];
  for (const block of blocks(gettingStarted, 'Accounts', 'sh')) {
    const token = block.includes('kto_…') ? await tokenFor(block) : '';
    used.add(token);
    const commands = block.replace('kto_…', token).replaceAll('http://localhost:3000', service.baseUrl);
    const script = `ACCESS_TOKEN='${accessToken}'\n${commands}\nprintf '\\n%s' "$ACCESS_TOKEN"`;
    const lines = (await run('sh', ['-c', script])).stdout.split('\n');
    accessToken = lines.at(-1) ?? '';
    responses.push(lines[0] ?? '');
  }
  const link = '{"message":"If an account with this email address exists, we have sent it a link."}';
  const confirmation = '{"message":"We have sent a link to the new email address. Open it to confirm the change."}';
  expect(responses).toEqual(['204', link, '204', '204', confirmation, '204', '204', '204', '204']);
  await service.stop();
  await mails.close();
  await database.drop();
});

test("the README's verifier accepts a token of the service and no other", async () => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const service = await startApp({ ISSUER: issuer }, { port });
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-readme-'));
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  const script = blocks(readme, 'Verify a token', 'sh').join('').replaceAll('http://localhost:3000', issuer);
  /** What the commands print: the claims, or the error. */
  const verify = (token: string): Promise<string> =>
    run('sh', ['-c', `ACCESS_TOKEN='${token}'\n${script}`], { cwd: folder }).then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => stderr,
    );
  const good = await service.register();
  expect(await verify(good.access_token)).toContain(`sub: '${good.user.id}'`);
  const foreign = await app.register();
  expect(await verify(foreign.access_token)).toContain('ERR_JWKS_NO_MATCHING_KEY');
  expect(await verify(`${good.access_token.slice(0, -4)}AAAA`)).toContain('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
  await rm(folder, { recursive: true });
  await service.close();
});

test('the table of endpoints is the API', async () => {
  const { paths } = parse(await readFile('openapi.yaml', 'utf8')) as { paths: Record<string, object> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const listed = [...endpoints.matchAll(/^\| `((?:GET|POST|PATCH|DELETE) [^`]+)` +\|/gm)].map(([, call]) => call);
  expect(new Set(listed)).toEqual(new Set(operations));
  expect(listed).toHaveLength(operations.length);
});

test('every npm command that the documents name exists, and CI runs the test command of the README', async () => {
  const others = await Promise.all(['CONTRIBUTING.md', 'docs/operating.md'].map((file) => readFile(file, 'utf8')));
  const named = [...[readme, ...others].join('\n').matchAll(/npm run ([\w:-]*\w)/g)].map(([, name]) => name ?? '');
  expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  const ci = await readFile('.ci/run', 'utf8');
  expect(blocks(readme, 'Run it', 'sh')).toContain('npm ci && npm test\n');
  expect(ci).toContain("suite 'npm ci && npm test'");
});

test('the table of docs/availability.md has every fault, without a 503 outside of it and without a wrong logout', async () => {
  const page = await readFile('docs/availability.md', 'utf8');
  const [, table = ''] = /<!-- table -->([\s\S]*?)<!-- end of table -->/.exec(page) ?? [];
  const rows = [...table.matchAll(/^\| ([a-zA-Z].*) \|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.trim()),
  );
  const [head = [], ...faults] = rows;
  expect(faults).toHaveLength(12);
  const column = (name: string) => faults.map((row) => row[head.indexOf(name)]);
  expect(new Set([...column('503 outside'), ...column('wrong logouts')])).toEqual(new Set(['0']));
});

test('every link between the documents leads to a file, and to a heading of it', async () => {
  const pages = (await readdir('docs', { recursive: true })).filter((file) => file.endsWith('.md'));
  const files = ['README.md', 'CONTRIBUTING.md', ...pages.map((page) => join('docs', page))];
  const broken: string[] = [];
  for (const file of files)
    for (const [, target = ''] of (await readFile(file, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^\w+:/.test(target)) continue;
      const [path = '', heading] = target.split('#');
      const linked = path === '' ? file : join(dirname(file), path);
      const text = existsSync(linked) && linked.endsWith('.md') ? await readFile(linked, 'utf8') : undefined;
      const found = heading === undefined ? existsSync(linked) : text !== undefined && headingsOf(text).has(heading);
      if (!found) broken.push(`${file}: ${target}`);
    }
  expect(broken).toEqual([]);
});

/** The anchors of a page's headings, as GitHub derives them. */
function headingsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}
