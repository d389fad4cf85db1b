// npm run bench:verify [-- --json] [--rounds 41] [--calls 500]: the CPU time of keyturn/verify compared with jose's jwtVerify with the
// same key and checks, alternating in one process.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type CryptoKey, importJWK, jwtVerify } from 'jose';
import {
  generateSigningKey,
  makeSigningKey,
  type SigningAlg,
  type SigningKey,
} from '../src/core/signing-keys/signing-key.ts';
import { makeSignAccessToken } from '../src/core/tokens/sign-access-token.ts';
import { parseId, type SessionId, type UserId } from '../src/lib/ids.ts';
import { systemClock } from '../src/lib/clock.ts';
import { createVerifier } from '../src/verify/index.ts';

const algs: readonly SigningAlg[] = ['ES256', 'EdDSA', 'RS256', 'PS256'];
const maxRatio = 1.15;
const inFlightCounts = [1, 16];
/** Uncounted rounds, for the JIT compiler. */
const warmUpRounds = 12;
const audience = 'https://api.example.com';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '41' },
    calls: { type: 'string', default: '500' },
  },
});
const print = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

type Verify = (token: string) => Promise<unknown>;

/** Creates tokens like the service. Each is verified once per round. */
function issueTokens(key: SigningKey, issuer: string, count: number): string[] {
  const userId = parseId<UserId>('0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10');
  const sessionId = parseId<SessionId>('0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11');
  if (!userId || !sessionId) throw new Error('the ids are invalid');
  const keyring = { active: () => key, find: () => key };
  const sign = makeSignAccessToken({
    keyring,
    clock: systemClock,
    issuer,
    audience: [audience],
    accessTtlSeconds: 3600,
  });
  const claims = {
    userId,
    sessionId,
    clientId: 'first-party',
    scopes: ['profile', 'sessions'],
    roles: ['user'],
    authTime: systemClock.nowSeconds(),
    amr: ['pwd'],
    emailVerified: true,
  };
  return Array.from({ length: count }, () => sign(claims));
}

async function publish(key: SigningKey) {
  const server = createServer((_req, res) => void res.end(JSON.stringify({ keys: [key.publicJwk] })));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { issuer, close: () => server.close() };
}

async function bareJose(key: SigningKey, issuer: string): Promise<Verify> {
  const imported = (await importJWK(key.publicJwk, key.alg)) as CryptoKey;
  const requiredClaims = ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id'];
  const expected = { issuer, audience, typ: 'at+jwt', algorithms: [key.alg], requiredClaims, clockTolerance: 5 };
  return (token) => jwtVerify(token, imported, expected);
}

/** Microseconds of CPU time per call, including the thread pool. */
async function measure(verify: Verify, tokens: readonly string[], inFlight: number): Promise<number> {
  const queue = tokens.values();
  const before = process.cpuUsage();
  const work = async () => {
    for (const token of queue) await verify(token);
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / tokens.length;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

interface Cell {
  alg: SigningAlg;
  inFlight: number;
  bareMicroseconds: number;
  keyturnMicroseconds: number;
  /** The median of the ratios of the rounds, because a slow machine slows both halves of a round. */
  ratio: number;
}

async function compare(alg: SigningAlg): Promise<Cell[]> {
  const { kid, privateKey } = await generateSigningKey(alg);
  const key = makeSigningKey(kid, alg, privateKey);
  const { issuer, close } = await publish(key);
  const tokens = issueTokens(key, issuer, Number(options.calls));
  const bare = await bareJose(key, issuer);
  const { verify: keyturn } = createVerifier({ issuer, audience, jwksUri: `${issuer}/jwks.json` });
  const cells: Cell[] = [];
  for (const inFlight of inFlightCounts) {
    for (let round = 0; round < warmUpRounds; round += 1)
      for (const verify of [bare, keyturn]) await measure(verify, tokens, inFlight);
    const rounds: { bare: number; keyturn: number }[] = [];
    for (let round = 0; round < Number(options.rounds); round += 1) {
      const bareFirst = round % 2 === 0;
      const first = await measure(bareFirst ? bare : keyturn, tokens, inFlight);
      const second = await measure(bareFirst ? keyturn : bare, tokens, inFlight);
      rounds.push(bareFirst ? { bare: first, keyturn: second } : { bare: second, keyturn: first });
    }
    cells.push({
      alg,
      inFlight,
      bareMicroseconds: median(rounds.map((round) => round.bare)),
      keyturnMicroseconds: median(rounds.map((round) => round.keyturn)),
      ratio: median(rounds.map((round) => round.keyturn / round.bare)),
    });
  }
  close();
  return cells;
}

const machine = `${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}`;
print(`${machine}\nmedians of ${options.rounds} rounds of ${options.calls} tokens; CPU time per token in µs\n`);
print('alg    in flight  bare jose  keyturn/verify  ratio');
const cells: Cell[] = [];
for (const alg of algs)
  for (const cell of await compare(alg)) {
    cells.push(cell);
    const { inFlight, bareMicroseconds, keyturnMicroseconds, ratio } = cell;
    const figures = [bareMicroseconds.toFixed(1).padStart(9), keyturnMicroseconds.toFixed(1).padStart(14)];
    print(`${alg.padEnd(6)} ${String(inFlight).padStart(9)}  ${figures.join('  ')}  ${ratio.toFixed(3)}`);
  }
const worst = Math.max(...cells.map(({ ratio }) => ratio));
const reached = worst <= maxRatio;
if (options.json) process.stdout.write(`${JSON.stringify({ machine, cells, worst, reached }, undefined, 2)}\n`);
print(`\n${reached ? 'reached' : 'MISSED'}: maximum ${maxRatio} times bare jose, measured ${worst.toFixed(3)}`);
process.exit(reached ? 0 : 1);
