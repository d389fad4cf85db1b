// openapi.yaml as its readers use it: clients that generators made of it, compiled strictly, on a walk through the API
// of the built service.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, whenReady } from '../support/service.ts';
import { sortByToolchain } from '../support/toolchains.ts';
import { compile, documented, folderOf, generate, type Generator, generators, prepare, walk } from './generators.ts';
import { compileMistakes, mistakes } from './mistakes.ts';

/** What every client prints, whatever its language. */
const walked = (email: string) => [
  {
    step: 'register',
    status: 201,
    email,
    display_name: 'Ada Lovelace',
    roles: ['user'],
    token_type: 'Bearer',
    expires_in: 900,
  },
  { step: 'login', status: 200, session_is_new: true },
  { step: 'refresh', status: 200, refresh_token_is_new: true, session_is_same: true },
  { step: 'me', status: 200, email, mfa_enabled: false },
  { step: 'sessions', status: 200, current: [true, false], is_last_page: true },
  { step: 'invalid', status: 400, code: 'validation_failed', paths: ['password'] },
  { step: 'logout', status: 204 },
  { step: 'refresh after logout', status: 401, code: 'invalid_refresh_token', reason: 'revoked' },
  { step: 'me after logout', status: 401, code: 'invalid_access_token' },
];

const { here, absent, notes } = sortByToolchain(generators);
for (const { name } of absent) test.todo(`${name} is not run: its toolchain is missing`);

let database: TestDatabase;
let service: ServiceProcess;
beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ DATABASE_URL: database.url });
  await whenReady(service);
});
afterAll(async () => {
  await service.stop();
  await database.drop();
  process.stdout.write(`\n${notes.join('\n')}\n\n`);
});

/** Notes how long it took, for people. */
async function timed(generator: Generator, step: (generator: Generator) => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  await step(generator);
  notes.push(`${generator.name}: ${step.name} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

test('docs/clients.md has the commands of these generators, and of no others', async () => {
  expect(Object.keys(await documented('sh')).sort()).toEqual(generators.map(({ name }) => name).sort());
});

test.each([
  ['openapi-generator/pom.xml', 'xml'],
  ['openapi-python-client/openapi-python-client.yaml', 'yaml'],
] as const)('%s holds what docs/clients.md shows of it', async (file, language) => {
  const words = (text: string) => text.replace(/\s+/g, ' ').trim();
  const shown = Object.values(await documented(language)).map(words);
  expect(shown).toEqual([expect.stringMatching(/\S/)]);
  expect(words(await readFile(`tests/clients/${file}`, 'utf8'))).toContain(shown[0]);
});

describe.each(here)('$name', (generator) => {
  test('installs what is pinned', async () => {
    await expect(timed(generator, prepare)).resolves.toBeUndefined();
  });

  test('generates by the command of docs/clients.md', async () => {
    await expect(timed(generator, generate)).resolves.toBeUndefined();
  });

  test('the walk and the generated code compile, strictly where the language can', async () => {
    await expect(timed(generator, compile)).resolves.toBeUndefined();
  });

  test('the walk from registration to logout meets what its types promise', async () => {
    const email = freshEmail();
    expect(await walk(generator, service.baseUrl, email, password)).toEqual(walked(email));
  });

  if (generator.name === 'openapi-fetch')
    describe('with a mistake', () => {
      let faults: Record<string, string>;
      beforeAll(async () => {
        faults = await compileMistakes(folderOf(generator));
      });

      test.each(Object.entries(mistakes))('%s does not compile', (mistake, [, , words]) => {
        expect(faults[mistake]).toContain(words);
      });

      test('nothing else has faults', () => {
        expect(Object.keys(faults).sort()).toEqual(Object.keys(mistakes).sort());
      });
    });
});
