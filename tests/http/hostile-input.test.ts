import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { startApp, type TestApp } from '../harness.ts';
import { adminScopes } from '../support/builders.ts';
import { expectDocumented } from '../support/documented.ts';
import { type Operation, operations } from './operations.ts';
import { send, type Sent } from './wire.ts';

interface Problem {
  code: string;
  status: number;
  errors?: { path: string; message: string }[];
}

/** Part of every hostile value; no response may repeat it. */
const canary = 'canary7f3a';
/** Members for which any text gets the response of an unknown token. */
const opaque = new Set(['refresh_token']);

/** Operations whose body is optional: nothing is the same as `{}`. */
const optional = new Set(['logoutAll', 'logoutUser']);

/** 10 MB compressed twice: expensive if the server decompressed it. */
const bomb = gzipSync(gzipSync(Buffer.alloc(10_000_000)));

let app: TestApp;
let token: string;

beforeAll(async () => {
  app = await startApp();
  ({ token } = await app.admin({ scope: `profile sessions api-keys ${adminScopes}` }));
});
afterAll(() => app.close());
afterEach(async () => {
  const { status } = await send(app.baseUrl, '/healthz');
  if (status !== 200) throw new Error(`the server is unhealthy: ${status}`);
  if (canary in {}) throw new Error('Object.prototype was changed');
});

const withBody = operations.flatMap(({ body, ...rest }) => (body ? [{ ...rest, body }] : []));
type WithBody = Operation & { body: NonNullable<Operation['body']> };

async function post({ method, path, template }: WithBody, sent: Sent) {
  const json = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const response = await send(app.baseUrl, path, { ...sent, method, headers: { ...json, ...sent.headers } });
  expectDocumented(method.toLowerCase(), template, response as unknown as Response);
  expect(JSON.stringify(response)).not.toContain(canary);
  return response;
}

async function refusal(operation: WithBody, sent: Sent | string): Promise<Problem> {
  const response = await post(operation, typeof sent === 'string' ? { body: sent } : sent);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  const problem = JSON.parse(response.text) as Problem;
  expect(problem.status).toBe(response.status);
  return problem;
}

const pathsOf = ({ errors = [] }: Problem) => errors.map(({ path }) => path);

test('openapi.yaml has operations with bodies', () => {
  expect(withBody.map(({ id }) => id)).toEqual(expect.arrayContaining(['register', 'login', 'refresh', 'deleteMe']));
});

describe.each(withBody)('$method $path', (operation) => {
  const { example, members, types, required } = operation.body;
  const right = JSON.stringify(example);

  const malformed: [title: string, body: string | Buffer][] = [
    ['nothing', ''],
    ['white space', ' \n'],
    ['a word', canary],
    ['an unclosed object', `{"${canary}":`],
    ['single quotes', `{'email':'${canary}'}`],
    ['a comma at the end', right.replace('}', ',}')],
    ['two values', right + right],
    ['NaN', '{"email":NaN}'],
    ['a control character in a string', `{"email":"${canary}\u0001"}`],
    ['a byte order mark', `\ufeff${right}`],
    ['UTF-16', Buffer.from(right, 'utf16le')],
    ['UTF-16 with its mark', Buffer.from(`\ufeff${right}`, 'utf16le')],
    ['bytes that are not UTF-8', Buffer.from('{"email":"\xff\xc0\x80"}', 'latin1')],
    ['a surrogate in UTF-8', Buffer.from('{"email":"\xed\xa0\x80"}', 'latin1')],
    ['10,000 brackets that never close', '['.repeat(10_000)],
  ];
  test.each(malformed.filter(([title]) => title !== 'nothing' || !optional.has(operation.id)))(
    '%s returns 400 malformed_json',
    async (_, body) => {
      expect(await refusal(operation, { body })).toMatchObject({ status: 400, code: 'malformed_json' });
    },
  );

  test.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'application/ld+json',
    `application/${canary}`,
  ])('the content type %s returns 415', async (type) => {
    const headers = { 'content-type': type ?? [] };
    expect(await refusal(operation, { body: right, headers })).toMatchObject({ code: 'unsupported_media_type' });
  });

  test.each([
    'application/json;',
    'application/json; ;charset="UTF-8";',
    'APPLICATION/JSON ;charset=utf8',
    'application/json; charset=us-ascii',
    'application/json; profile="https://example.com/x; charset=latin1"',
  ])('the content type %s is accepted', async (type) => {
    const { status } = await post(operation, { body: '[]', headers: { 'content-type': type } });
    expect(status).toBe(400);
  });

  test.each(['gzip', 'GZIP', 'x-gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'identity, gzip', canary])(
    'the content encoding %s returns 415',
    async (encoding) => {
      for (const body of [gzipSync(right), bomb]) {
        const sent = { body, headers: { 'content-encoding': encoding } };
        expect(await refusal(operation, sent)).toMatchObject({ code: 'unsupported_media_type' });
      }
    },
  );

  test.each([
    'null',
    'true',
    '1',
    '-0',
    '1e999',
    `"${canary}"`,
    '[]',
    `[${right}]`,
    '['.repeat(8000) + ']'.repeat(8000),
  ])('a body that is not an object is refused: %.20s', async (body) => {
    const problem = await refusal(operation, body);
    expect(problem).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ path: 'body' }] });
  });

  test.each(members)('a wrong type of %s is an error that names it', async (member) => {
    const values = {
      number: ['0', '123456789012345678901234567890', '1e999'],
      null: ['null'],
      boolean: ['true'],
      array: [`["${canary}"]`],
      object: [`{"${canary}":1}`],
    };
    const wrong = Object.entries(values).flatMap(([type, those]) => (types[member]?.includes(type) ? [] : those));
    for (const value of wrong) {
      const body = JSON.stringify({ ...example, [member]: '<here>' }).replace('"<here>"', value);
      expect(pathsOf(await refusal(operation, body))).toEqual([member]);
    }
  });

  test.each(members)('NUL or half a surrogate pair in %s is refused', async (member) => {
    for (const hostile of ['\\u0000', '\\ud800', '\\udc00', '\\udfff\\ud800']) {
      const body = JSON.stringify({ ...example, [member]: '<here>' }).replace('<here>', `${canary}${hostile}${canary}`);
      const { status, text } = await post(operation, { body });
      const refused = [...new Set(status === 400 ? pathsOf(JSON.parse(text) as Problem) : [])];
      expect([opaque.has(member) ? [204, 401] : [400], refused]).toEqual([
        expect.arrayContaining([status]),
        opaque.has(member) ? [] : [member],
      ]);
    }
  });

  test.each([
    ['unknown', 'unknown'],
    ['is_admin', 'is_admin'],
    ['__proto__', '__proto__'],
    ['\\u005f_proto\\u005f\\u005f', '__proto__'],
    ['constructor', 'constructor'],
    ['\\u0063onstructor', 'constructor'],
    ['toString', 'toString'],
    ['', ''],
  ])('the unknown member "%s" is refused by name', async (member, path) => {
    for (const value of [`{"${canary}":1}`, `{"prototype":{"${canary}":1}}`, `{"__proto__":{"${canary}":1}}`, '1']) {
      const problem = await refusal(operation, right.replace('{', `{"${member}":${value},`));
      expect(pathsOf(problem)).toEqual([path]);
    }
  });

  test('members of a prototype are ignored', async () => {
    const paths = pathsOf(await refusal(operation, `{"__proto__":${right}}`));
    // A member that a cookie can replace is reported as missing only if the rest of the body is valid.
    // A body without any known member is also an error.
    expect(paths.filter((path) => !['refresh_token', 'body'].includes(path)).sort()).toEqual(
      [...required.filter((path) => path !== 'refresh_token'), '__proto__'].sort(),
    );
  });

  test('every validation error is listed', async () => {
    const wrong = Object.fromEntries(
      [...members, 'one_more', 'and_another'].map((member) => [member, { [canary]: 1 }]),
    );
    const problem = await refusal(operation, JSON.stringify(wrong));
    expect(problem).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(pathsOf(problem).sort()).toEqual(Object.keys(wrong).sort());
  });

  test('a thousand unknown members get a small response', async () => {
    const wrong = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`m${i}`, 1]));
    const response = await post(operation, { body: JSON.stringify(wrong) });
    expect(response.status).toBe(400);
    expect(response.text.length).toBeLessThan(16_384);
  });

  test('the last of two equal members wins', async () => {
    for (const member of members) {
      const body = `${JSON.stringify({ ...example, [member]: example[member] ?? canary }).slice(0, -1)},"${member}":0}`;
      expect(pathsOf(await refusal(operation, body))).toEqual([member]);
    }
  });

  test.each([false, true])('a body has at most 16 KiB (chunked: %s)', async (chunked) => {
    const fits = '{"unknown":1}'.padEnd(16_384);
    expect(await refusal(operation, { body: fits, chunked })).toMatchObject({ code: 'validation_failed' });
    const bodies = [`${fits} `, canary.repeat(20_000), '['.repeat(10_000) + ']'.repeat(10_000)];
    for (const body of bodies)
      expect(await refusal(operation, { body, chunked })).toMatchObject({ status: 413, code: 'payload_too_large' });
  });
});

describe('text that Postgres cannot store', () => {
  const values = ['%00', 'a%00b', '%ED%A0%80', '%F4%90%80%80', '%ff', '9'.repeat(400)];
  const targets: [method: string, path: string][] = [
    ['GET', '/admin/users?query='],
    ['GET', '/admin/users?cursor='],
    ['GET', '/admin/audit?user_id='],
    ['GET', '/admin/audit?type='],
    ['GET', '/admin/audit?cursor='],
    ['GET', '/admin/roles?cursor='],
    ['GET', '/sessions?cursor='],
    ['GET', '/api-keys?cursor='],
    ['GET', '/admin/users/'],
    ['DELETE', '/admin/users/'],
    ['DELETE', '/admin/roles/'],
    ['DELETE', '/sessions/'],
    ['DELETE', '/api-keys/'],
  ];
  test.each(targets)('is no server error in %s %s', async (method, path) => {
    const headers = { authorization: `Bearer ${token}` };
    for (const value of values) {
      const { status } = await send(app.baseUrl, path + value, { method, headers });
      expect([value, status < 500]).toEqual([value, true]);
    }
  });

  test.each(['username', 'scope', 'client_id', 'client_secret', 'refresh_token', 'token', 'resource'])(
    'is no server error in the form parameter %s',
    async (name) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const others = 'grant_type=password&password=x';
      for (const path of ['/token', '/introspect'])
        for (const value of values) {
          const form = `${others}&${name}=${value}`;
          const { status } = await send(app.baseUrl, path, { method: 'POST', headers, body: form });
          expect([path, value, status < 500]).toEqual([path, value, true]);
        }
    },
  );
});
