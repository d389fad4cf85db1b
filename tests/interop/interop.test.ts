// Strangers verify: every program of examples/verify against real tokens of the real service, and against tokens that
// it would never sign.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { sortByToolchain } from '../support/toolchains.ts';
import { audience, type Issuer, startIssuer } from './issuer.ts';
import { makeTable } from './table.ts';
import { type Alg, build, type Running, start, type Verifier, verifiers } from './verifiers.ts';

const buildMinutesMax = 10;
/** What a verifier may wait until it asks for an unknown key, and a little more. */
const cooldownSeconds = 10;
const patienceSeconds = 15;

jest.setTimeout(buildMinutesMax * 60_000);

type Tokens = string | string[] | Promise<string | string[]>;

const now = () => Math.floor(Date.now() / 1000);

/** Every case, with the answer that is right. */
const cases: [name: string, right: 200 | 401 | 403, tokens: (issuer: Issuer) => Tokens][] = [
  ['of a login', 200, async ({ register }) => (await register()).access_token],
  [
    'of a refresh',
    200,
    async ({ register, app }) => (await app.refresh((await register()).refresh_token)).body.access_token,
  ],
  [
    'expired',
    401,
    ({ forge }) => [forge.sign({ exp: now() - 30 }), forge.sign({ exp: 0 }), forge.sign({ exp: undefined })],
  ],
  ['not valid yet', 401, ({ forge }) => forge.sign({ nbf: now() + 600 })],
  [
    'other audience',
    401,
    ({ forge }) => ['https://files.example.com', `${audience}/`, '', [], undefined].map((aud) => forge.sign({ aud })),
  ],
  [
    'other issuer',
    401,
    ({ forge, url }) => ['https://auth.example.com', `${url}/`, '', undefined].map((iss) => forge.sign({ iss })),
  ],
  ['changed', 401, ({ forge }) => forge.changed()],
  ['alg none', 401, ({ forge }) => forge.unsigned()],
  ['HS256', 401, ({ forge }) => forge.confused()],
  ['other typ', 401, ({ forge }) => ['JWT', 'dpop+jwt', '', undefined].map((typ) => forge.sign({}, { typ }))],
  ['unknown crit', 401, ({ forge }) => forge.sign({}, { crit: ['x'], x: 1 })],
  ['other key', 401, ({ forge }) => forge.signAsStranger()],
  [
    'key inside',
    401,
    ({ forge }) =>
      Promise.all([forge.signAsStranger({ jwk: 'theirs' }), forge.signAsStranger({ jwk: 'theirs', kid: undefined })]),
  ],
  ['no JWT', 401, () => ['.', '..', 'a.b.c', 'x'.repeat(2000)]],
  [
    'no scope',
    403,
    ({ forge }) => ['sessions', 'profiles my-profile', 'PROFILE', '', undefined].map((scope) => forge.sign({ scope })),
  ],
];
const otherAlgs = ['RS256', 'PS256', 'EdDSA'] as const;
const audienceList = 'one of several audiences';
const columns = [
  ...cases.map(([name]) => name),
  audienceList,
  'rotated',
  'retired key',
  'unseen key',
  'issuer down',
  ...otherAlgs,
];

const startedAt = performance.now();
const seconds = (count: number) => `${count.toFixed(0)} s`;
const table = makeTable();
const { here, absent, notes } = sortByToolchain(verifiers);
notes.forEach(table.note);

let issuer: Issuer;
const running = new Map<string, Running>();

/** One that does not start with an algorithm that it does not know is not started. */
async function startAll(alg: Alg): Promise<void> {
  issuer = await startIssuer(alg);
  const env = { ISSUER: issuer.url, AUDIENCE: audience, JWT_ALG: alg };
  const each = async (verifier: Verifier) => {
    const started = start(verifier, { ...env, PORT: String(await freePort()) });
    if (verifier.algs.includes(alg)) running.set(verifier.name, await started);
    else await started.then((one) => running.set(verifier.name, one)).catch(() => undefined);
  };
  await Promise.all(here.map(each));
}

async function stopAll(): Promise<void> {
  await Promise.all([...running.values()].map(({ stop }) => stop()));
  running.clear();
  await issuer?.close();
}

const ask = async (name: string, token: string): Promise<number> => {
  const verifier = running.get(name);
  if (!verifier) throw new Error(`${name} does not run`);
  return verifier.orders(token);
};

/** Every status that tokens of one kind are answered with: `[right]`, or the verifier is not right. */
async function answers(name: string, column: string, right: number, tokens: Tokens): Promise<number[]> {
  const said = new Set<number>();
  for (const token of [await tokens].flat()) said.add(await ask(name, token));
  table.record(name, column, [...said], said.size === 1 && said.has(right));
  return [...said];
}

beforeAll(async () => {
  const queue = [...here];
  // As many at a time as build without waiting for each other's processor.
  const work = async () => {
    for (let verifier = queue.pop(); verifier; verifier = queue.pop())
      table.note(`built ${verifier.name} in ${seconds(await build(verifier))}`);
  };
  await Promise.all([work(), work()]);
});
afterAll(() => {
  table.note(`all in ${seconds((performance.now() - startedAt) / 1000)}`);
  table.print(columns);
});

for (const { name } of absent) test.todo(`${name} is not run: its toolchain is missing`);

describe('with ES256, the default', () => {
  let old: string;
  beforeAll(async () => {
    await startAll('ES256');
    old = (await issuer.register()).access_token;
  });
  afterAll(stopAll);

  describe.each(here)('$name', ({ name, noAudienceList }) => {
    test('answers 401 without a token', async () => {
      expect(await running.get(name)?.orders()).toBe(401);
    });

    test.each(cases)('%s: %i', async (column, right, tokens) => {
      expect(await answers(name, column, right, tokens(issuer))).toEqual([right]);
    });

    test(`${audienceList}: ${noAudienceList ? 'refused, as it knows no lists' : 200}`, async () => {
      const right = noAudienceList ? 401 : 200;
      const token = issuer.forge.sign({ aud: ['https://files.example.com', audience] });
      expect(await answers(name, audienceList, right, token)).toEqual([right]);
    });
  });

  describe('after a rotation', () => {
    let young: string;
    beforeAll(async () => {
      await issuer.rotate();
      young = (await issuer.register()).access_token;
      const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
      if (kidOf(young) === kidOf(old)) throw new Error('the service signs with the same key still');
    });
    test.each(here)('$name takes a token of the new key at once', async ({ name }) => {
      expect(await answers(name, 'rotated', 200, young)).toEqual([200]);
    });
    test.each(here)('$name takes tokens of the old key still', async ({ name }) => {
      expect(await answers(name, 'retired key', 200, old)).toEqual([200]);
    });
  });

  describe('after a key that nobody could know in advance', () => {
    let unseen: string;
    beforeAll(async () => {
      await new Promise((wake) => setTimeout(wake, cooldownSeconds * 1000));
      await issuer.signWithUnseenKey();
      unseen = (await issuer.register()).access_token;
    });
    test.each(here)(`$name takes its tokens within ${patienceSeconds} seconds`, async ({ name }) => {
      const deadline = performance.now() + patienceSeconds * 1000;
      while ((await ask(name, unseen)) !== 200 && performance.now() < deadline)
        await new Promise((wake) => setTimeout(wake, 250));
      expect(await answers(name, 'unseen key', 200, unseen)).toEqual([200]);
    });
  });

  describe('while the issuer is down', () => {
    let good: string;
    beforeAll(async () => {
      good = (await issuer.register()).access_token;
      await issuer.stop();
    });
    test.each(here)('$name verifies by the keys that it has', async ({ name }) => {
      expect(await answers(name, 'issuer down', 200, good)).toEqual([200]);
    });
  });
});

describe.each(otherAlgs)('with %s', (alg) => {
  beforeAll(() => startAll(alg));
  afterAll(stopAll);

  test.each(here.filter(({ algs }) => algs.includes(alg)))(
    '$name takes good tokens and no others',
    async ({ name }) => {
      const { access_token: good } = await issuer.register();
      expect(await answers(name, alg, 200, good)).toEqual([200]);
      for (const token of [...issuer.forge.changed(), ...issuer.forge.confused()])
        expect(await ask(name, token)).toBe(401);
    },
  );

  const unable = here.filter(({ algs }) => !algs.includes(alg));
  if (unable.length > 0)
    test.each(unable)('$name cannot do it, and lets nobody in', async ({ name }) => {
      const { access_token: good } = await issuer.register();
      expect(running.has(name) ? await ask(name, good) : 401).toBe(401);
      table.record(name, alg, ['no'], true);
    });
});
