// The programs in examples/verify with tokens of the real service and with forged tokens.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { partitionByToolchain } from '../support/toolchains.ts';
import { audience, type Issuer, startIssuer } from './issuer.ts';
import { makeResultTable } from './result-table.ts';
import { type Alg, build, type RunningVerifier, start, type Verifier, verifiers } from './verifiers.ts';

const maxBuildMinutes = 10;
/** How long a verifier may wait before it fetches the keys again for an unknown kid. */
const cooldownSeconds = 10;
const maxUnknownKeySeconds = 15;

jest.setTimeout(maxBuildMinutes * 60_000);

type Tokens = string | string[] | Promise<string | string[]>;

const now = () => Math.floor(Date.now() / 1000);

/** Every kind of token, with the correct response status. */
const cases: [name: string, expectedStatus: 200 | 401 | 403, makeTokens: (issuer: Issuer) => Tokens][] = [
  ['login', 200, async ({ register }) => (await register()).access_token],
  [
    'refresh',
    200,
    async ({ register, app }) => (await app.refresh((await register()).refresh_token)).body.access_token,
  ],
  [
    'expired',
    401,
    ({ forge }) => [forge.sign({ exp: now() - 30 }), forge.sign({ exp: 0 }), forge.sign({ exp: undefined })],
  ],
  ['not yet valid', 401, ({ forge }) => forge.sign({ nbf: now() + 600 })],
  [
    'wrong audience',
    401,
    ({ forge }) => ['https://files.example.com', `${audience}/`, '', [], undefined].map((aud) => forge.sign({ aud })),
  ],
  [
    'wrong issuer',
    401,
    ({ forge, url }) => ['https://auth.example.com', `${url}/`, '', undefined].map((iss) => forge.sign({ iss })),
  ],
  ['modified', 401, ({ forge }) => forge.modified()],
  ['alg none', 401, ({ forge }) => forge.unsigned()],
  ['HS256', 401, ({ forge }) => forge.signedWithPublicKey()],
  ['wrong typ', 401, ({ forge }) => ['JWT', 'dpop+jwt', '', undefined].map((typ) => forge.sign({}, { typ }))],
  ['unknown crit', 401, ({ forge }) => forge.sign({}, { crit: ['x'], x: 1 })],
  ['wrong key', 401, ({ forge }) => forge.signAsAttacker()],
  [
    'embedded key',
    401,
    ({ forge }) =>
      Promise.all([
        forge.signAsAttacker({ embedsKey: true }),
        forge.signAsAttacker({ embedsKey: true, kid: undefined }),
      ]),
  ],
  ['malformed', 401, () => ['.', '..', 'a.b.c', 'x'.repeat(2000)]],
  [
    'missing scope',
    403,
    ({ forge }) => ['sessions', 'profiles my-profile', 'PROFILE', '', undefined].map((scope) => forge.sign({ scope })),
  ],
];
const otherAlgs = ['RS256', 'PS256', 'EdDSA'] as const;
const audienceList = 'list of audiences';
const columns = [
  ...cases.map(([name]) => name),
  audienceList,
  'new key',
  'retired key',
  'unknown key',
  'issuer down',
  ...otherAlgs,
];

const startedAt = performance.now();
const formatSeconds = (seconds: number) => `${seconds.toFixed(0)} s`;
const table = makeResultTable();
const { available, unavailable, notes } = partitionByToolchain(verifiers);
notes.forEach(table.note);

let issuer: Issuer;
const running = new Map<string, RunningVerifier>();

/** Starts the issuer and the verifiers. A verifier may exit if it does not support the algorithm. */
async function startAll(alg: Alg): Promise<void> {
  issuer = await startIssuer(alg);
  const env = { ISSUER: issuer.url, AUDIENCE: audience, JWT_ALG: alg };
  const startOne = async (verifier: Verifier) => {
    const started = start(verifier, { ...env, PORT: String(await freePort()) });
    if (verifier.algs.includes(alg)) running.set(verifier.name, await started);
    else await started.then((one) => running.set(verifier.name, one)).catch(() => undefined);
  };
  await Promise.all(available.map(startOne));
}

async function stopAll(): Promise<void> {
  await Promise.all([...running.values()].map(({ stop }) => stop()));
  running.clear();
  await issuer?.close();
}

const sendToken = async (name: string, token: string): Promise<number> => {
  const verifier = running.get(name);
  if (!verifier) throw new Error(`${name} is not running`);
  return verifier.getOrders(token);
};

/** Sends the tokens, records the result and returns the distinct statuses. */
async function statusesFor(name: string, column: string, expectedStatus: number, tokens: Tokens): Promise<number[]> {
  const statuses = new Set<number>();
  for (const token of [await tokens].flat()) statuses.add(await sendToken(name, token));
  table.record(name, column, [...statuses], statuses.size === 1 && statuses.has(expectedStatus));
  return [...statuses];
}

beforeAll(async () => {
  const queue = [...available];
  const buildNext = async () => {
    for (let verifier = queue.pop(); verifier; verifier = queue.pop())
      table.note(`built ${verifier.name} in ${formatSeconds(await build(verifier))}`);
  };
  await Promise.all([buildNext(), buildNext()]);
});
afterAll(() => {
  table.note(`total ${formatSeconds((performance.now() - startedAt) / 1000)}`);
  table.print(columns);
});

for (const { name } of unavailable) test.todo(`${name} is not run because its toolchain is missing`);

describe('with ES256, the default', () => {
  let oldToken: string;
  beforeAll(async () => {
    await startAll('ES256');
    oldToken = (await issuer.register()).access_token;
  });
  afterAll(stopAll);

  describe.each(available)('$name', ({ name, rejectsAudienceList }) => {
    test('returns 401 without a token', async () => {
      expect(await running.get(name)?.getOrders()).toBe(401);
    });

    test.each(cases)('token of the kind "%s": returns %i', async (column, expectedStatus, makeTokens) => {
      expect(await statusesFor(name, column, expectedStatus, makeTokens(issuer))).toEqual([expectedStatus]);
    });

    const expectedStatus = rejectsAudienceList ? 401 : 200;
    test(`returns ${expectedStatus} for a token with a list of audiences`, async () => {
      const token = issuer.forge.sign({ aud: ['https://files.example.com', audience] });
      expect(await statusesFor(name, audienceList, expectedStatus, token)).toEqual([expectedStatus]);
    });
  });

  describe('after a key rotation', () => {
    let newToken: string;
    beforeAll(async () => {
      await issuer.rotateKey();
      newToken = (await issuer.register()).access_token;
      const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
      if (kidOf(newToken) === kidOf(oldToken)) throw new Error('The service still signs with the old key.');
    });
    test.each(available)('$name accepts a token of the new key immediately', async ({ name }) => {
      expect(await statusesFor(name, 'new key', 200, newToken)).toEqual([200]);
    });
    test.each(available)('$name still accepts a token of the old key', async ({ name }) => {
      expect(await statusesFor(name, 'retired key', 200, oldToken)).toEqual([200]);
    });
  });

  describe('after a rotation to a key that was not published in advance', () => {
    let token: string;
    beforeAll(async () => {
      await new Promise((resolve) => setTimeout(resolve, cooldownSeconds * 1000));
      await issuer.rotateToUnpublishedKey();
      token = (await issuer.register()).access_token;
    });
    test.each(available)(`$name accepts its tokens within ${maxUnknownKeySeconds} seconds`, async ({ name }) => {
      const deadline = performance.now() + maxUnknownKeySeconds * 1000;
      while ((await sendToken(name, token)) !== 200 && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 250));
      expect(await statusesFor(name, 'unknown key', 200, token)).toEqual([200]);
    });
  });

  describe('while the issuer is down', () => {
    let token: string;
    beforeAll(async () => {
      token = (await issuer.register()).access_token;
      await issuer.stop();
    });
    test.each(available)('$name verifies with its cached keys', async ({ name }) => {
      expect(await statusesFor(name, 'issuer down', 200, token)).toEqual([200]);
    });
  });
});

describe.each(otherAlgs)('with %s', (alg) => {
  beforeAll(() => startAll(alg));
  afterAll(stopAll);

  test.each(available.filter(({ algs }) => algs.includes(alg)))(
    '$name accepts valid tokens and rejects forged ones',
    async ({ name }) => {
      const { access_token: token } = await issuer.register();
      expect(await statusesFor(name, alg, 200, token)).toEqual([200]);
      for (const forged of [...issuer.forge.modified(), ...issuer.forge.signedWithPublicKey()])
        expect(await sendToken(name, forged)).toBe(401);
    },
  );

  const unsupporting = available.filter(({ algs }) => !algs.includes(alg));
  if (unsupporting.length > 0)
    test.each(unsupporting)('$name does not support the algorithm and rejects every token', async ({ name }) => {
      const { access_token: token } = await issuer.register();
      expect(running.has(name) ? await sendToken(name, token) : 401).toBe(401);
      table.record(name, alg, ['no'], true);
    });
});
