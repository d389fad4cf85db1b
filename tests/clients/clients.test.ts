// Clients that are generated from openapi.yaml with the commands of docs/clients.md. A program in each language compiles
// strictly and calls the API of the built service from registration to logout.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { partitionByToolchain } from '../support/toolchains.ts';
import {
  codeBlocks,
  compile,
  folderOf,
  generate,
  type Generator,
  generators,
  prepare,
  runProgram,
} from './generators.ts';
import { compileMistakes, mistakes } from './mistakes.ts';

/** The output of every program. */
const expectedSteps = (email: string) => [
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

const { available, unavailable, notes } = partitionByToolchain(generators);
for (const { name } of unavailable) test.todo(`${name} is not run because its toolchain is missing`);

let database: TestDatabase;
let service: ServiceProcess;
beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ DATABASE_URL: database.url });
  await waitUntilReady(service);
});
afterAll(async () => {
  await service.stop();
  await database.drop();
  process.stdout.write(`\n${notes.join('\n')}\n\n`);
});

/** Runs a step and records its duration. */
async function measure(generator: Generator, step: (generator: Generator) => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  await step(generator);
  notes.push(`${generator.name}: ${step.name} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

test('docs/clients.md documents exactly the tested generators', async () => {
  expect(Object.keys(await codeBlocks('sh')).sort()).toEqual(generators.map(({ name }) => name).sort());
});

test.each([
  ['openapi-generator/pom.xml', 'xml'],
  ['openapi-python-client/openapi-python-client.yaml', 'yaml'],
] as const)('%s contains the code in docs/clients.md', async (file, language) => {
  const collapseSpaces = (text: string) => text.replace(/\s+/g, ' ').trim();
  const blocks = Object.values(await codeBlocks(language)).map(collapseSpaces);
  expect(blocks).toEqual([expect.stringMatching(/\S/)]);
  expect(collapseSpaces(await readFile(`tests/clients/${file}`, 'utf8'))).toContain(blocks[0]);
});

describe.each(available)('$name', (generator) => {
  test('installs the pinned packages', async () => {
    await expect(measure(generator, prepare)).resolves.toBeUndefined();
  });

  test('generates the client with the documented command', async () => {
    await expect(measure(generator, generate)).resolves.toBeUndefined();
  });

  test('the program and the generated code compile', async () => {
    await expect(measure(generator, compile)).resolves.toBeUndefined();
  });

  test('the program calls the API from registration to logout', async () => {
    const email = freshEmail();
    expect(await runProgram(generator, service.baseUrl, email, password)).toEqual(expectedSteps(email));
  });

  if (generator.name === 'openapi-fetch')
    describe('type errors', () => {
      let errors: Record<string, string>;
      beforeAll(async () => {
        errors = await compileMistakes(folderOf(generator));
      });

      test.each(Object.entries(mistakes))('%s does not compile', (mistake, [, , message]) => {
        expect(errors[mistake]).toContain(message);
      });

      test('only the mistakes have errors', () => {
        expect(Object.keys(errors).sort()).toEqual(Object.keys(mistakes).sort());
      });
    });
});
