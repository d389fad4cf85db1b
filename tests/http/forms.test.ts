import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { endpoint, type Endpoint } from '../../src/http/endpoint.ts';
import { makeOpenApi } from '../../src/http/openapi/document.ts';
import { NotReady } from '../../src/lib/errors.ts';
import { serveEndpoints, type ServedEndpoints } from '../support/endpoints.ts';
import { send, type Sent } from './wire.ts';

const declared = {
  method: 'post',
  operationId: 'post',
  tag: 'Forms',
  summary: 'A form',
  bodyType: 'form',
  response: z.record(z.string(), z.string()),
} as const;

const endpoints: Endpoint[] = [
  endpoint({ ...declared, path: '/any', body: z.record(z.string(), z.string()), handle: ({ body }) => body }),
  endpoint({
    ...declared,
    path: '/lenient',
    body: z.object({ name: z.string() }),
    handle: ({ body: { name } }) => ({ name }),
  }),
  endpoint({
    ...declared,
    path: '/strict',
    body: z.strictObject({ name: z.string(), age: z.string().regex(/^\d+$/).optional() }),
    rateLimit: { group: 'mail', counts: ['success'] },
    errors: [NotReady],
    renderError: ({ definition, extras }, { requestId, retryAfterSeconds, form }) => ({
      ...(definition.status === 413 ? { status: 400 } : {}),
      body: { error: definition.code, members: extras.members, requestId, retryAfterSeconds, form },
      type: 'application/json',
      headers: { 'X-Own': 'yes' },
    }),
    handle({ body }) {
      if (body.name === 'not ready') throw new NotReady('test');
      if (body.name === 'fault') throw new TypeError('a fault');
      return { name: body.name };
    },
  }),
  endpoint({
    ...declared,
    path: '/speechless',
    body: z.strictObject({}),
    renderError() {
      throw new TypeError('no words');
    },
    handle: () => ({}),
  }),
];

const maxRequests = 50;
let served: ServedEndpoints;
beforeAll(async () => {
  served = await serveEndpoints(endpoints, { mail: { count: maxRequests, windowSeconds: 60 } });
});
afterAll(() => served.close());

const type = 'application/x-www-form-urlencoded';

async function post(path: string, body: string | Uint8Array, sent: Sent = {}) {
  const { status, headers, text } = await send(served.baseUrl, path, {
    method: 'POST',
    body,
    ...sent,
    headers: { 'content-type': type, ...sent.headers },
  });
  return { status, headers, body: JSON.parse(text) as Record<string, unknown> };
}

describe('a form', () => {
  test.each<[sent: string, read: Record<string, string>]>([
    ['', {}],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['&&a=1&', { a: '1' }],
    ['a', { a: '' }],
    ['a=', { a: '' }],
    ['=1', { '': '1' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=1+2%2B3%26%3D%25', { a: '1 2+3&=%' }],
    ['caf%C3%A9=%F0%9F%98%80', { café: '😀' }],
    ['café=😀', { café: '😀' }],
    ['a=%00%0D%0A', { a: '\0\r\n' }],
    ['a%5B%5D=1&a.b=2', { 'a[]': '1', 'a.b': '2' }],
    ['constructor=1&toString=2', { constructor: '1', toString: '2' }],
  ])('%s is decoded', async (sent, read) => {
    expect(await post('/any', sent)).toMatchObject({ status: 200, body: read });
  });

  test.each([
    type,
    `${type};charset=utf-8`,
    `${type}; charset=UTF-8`,
    `${type} ; charset="utf-8" `,
    type.toUpperCase(),
    `${type};`,
    `${type} ; ; charset="UTF-8";`,
    `${type}; charset=utf8`,
    `${type}; charset=us-ascii`,
    `${type}; charset=`,
    `${type}; charset=ISO-8859-1`,
    `${type}; boundary=x; charset="windows-1252"`,
    `${type};charset=Shift_JIS`,
  ])('is accepted as %s', async (given) => {
    expect(await post('/any', 'a=1', { headers: { 'content-type': given } })).toMatchObject({ status: 200 });
  });

  test.each([
    'application/json',
    'multipart/form-data; boundary=x',
    'text/plain',
    `${type}; charset=utf-16`,
    `${type}; charset=utf-7`,
    '',
  ])('is refused as "%s"', async (given) => {
    const { status, body } = await post('/any', 'a=1', { headers: { 'content-type': given } });
    expect([status, body['code'], body['detail']]).toEqual([
      415,
      'unsupported_media_type',
      expect.stringContaining(type),
    ]);
  });

  test.each(['a=%E9', 'a=%C3%A9', 'a=é', '%e9=1'])(
    '%s is refused in another charset than UTF-8, because the charset decides what it means',
    async (body) => {
      const headers = { 'content-type': `${type}; charset=ISO-8859-1` };
      expect(await post('/any', body, { headers })).toMatchObject({
        status: 415,
        body: { code: 'unsupported_media_type' },
      });
    },
  );

  test('is accepted with an empty content encoding', async () => {
    expect(await post('/any', 'a=1', { headers: { 'content-encoding': '' } })).toMatchObject({ status: 200 });
  });

  test('is refused with a content encoding', async () => {
    const { status, body } = await post('/any', 'a=1', { headers: { 'content-encoding': 'gzip' } });
    expect([status, body['code']]).toEqual([415, 'unsupported_media_type']);
  });

  test.each(['a=%', 'a=%4', 'a=%zz', 'a=%u0041', '%=1', 'a=%C3', 'a=%C0%AF', 'a=%ED%A0%80', 'a=%FF', 'ok=1&a=%E9'])(
    '%s is malformed',
    async (sent) => {
      expect(await post('/any', sent)).toMatchObject({ status: 400, body: { code: 'malformed_form' } });
    },
  );

  test('bytes that are not UTF-8 are malformed', async () => {
    const { status, body } = await post('/any', Buffer.from([0x61, 0x3d, 0xe9]));
    expect([status, body['code']]).toEqual([400, 'malformed_form']);
  });

  test.each([
    ['a=1&a=1', 'a'],
    ['a=1&b=2&a=', 'a'],
    ['a&a', 'a'],
    ['a+b=1&a%20b=2', 'a b'],
    [`${'n'.repeat(1000)}=1&${'n'.repeat(1000)}=1`, 'n'.repeat(64)],
  ])('%s repeats a parameter, and the response names it', async (sent, path) => {
    expect(await post('/any', sent)).toMatchObject({
      status: 400,
      body: { code: 'repeated_parameter', errors: [{ path, message: 'must be sent once' }] },
    });
  });

  test('an unknown parameter that is sent twice is ignored if the endpoint ignores unknown parameters', async () => {
    expect(await post('/lenient', 'resource=a&name=Ada&resource=b')).toMatchObject({
      status: 200,
      body: { name: 'Ada' },
    });
  });

  test.each(['name=a&name=a', 'name=&name=a', 'name=a&name=', 'resource=a&name=a&resource=b&name=b'])(
    '%s repeats a known parameter',
    async (sent) => {
      expect(await post('/lenient', sent)).toMatchObject({ status: 400, body: { errors: [{ path: 'name' }] } });
    },
  );

  test.each([false, true])('above 16 KiB is too large (chunked: %s)', async (chunked) => {
    const most = `a=${'x'.repeat(16 * 1024 - 2)}`;
    expect(await post('/any', most, { chunked })).toMatchObject({ status: 200 });
    expect(await post('/any', `${most}x`, { chunked })).toMatchObject({
      status: 413,
      body: { code: 'payload_too_large' },
    });
  });

  test('unknown parameters are passed to the schema', async () => {
    expect(await post('/any', 'name=Ada&more=1')).toMatchObject({ status: 200 });
    const { status, body } = await post('/strict', 'name=Ada&more=1&__proto__=1');
    expect([status, body['error']]).toEqual([400, 'validation_failed']);
    expect(body['members']).toMatchObject({
      errors: expect.arrayContaining([{ path: 'more', message: 'is unknown' }]),
    });
  });

  test('is documented as a form', () => {
    const info = { title: 'T', version: '1', description: 'D', serverUrl: 'https://auth.example.com', tags: [] };
    const { paths } = makeOpenApi(endpoints, info) as {
      paths: Record<string, { post: { requestBody: { content: object }; responses: Record<string, object> } }>;
    };
    expect(Object.keys(paths['/any']?.post.requestBody.content ?? {})).toEqual([type]);
    const codes = JSON.stringify(paths['/any']?.post.responses['400']);
    for (const code of ['malformed_form', 'repeated_parameter', 'validation_failed']) expect(codes).toContain(code);
    expect(codes).not.toContain('malformed_json');
  });
});

describe('an endpoint with its own error format', () => {
  test.each([
    ['a validation error', 'age=x', 400, 'validation_failed', { age: 'x' }],
    ['a repeated parameter', 'name=a&name=b', 400, 'repeated_parameter', undefined],
    ['an unavailable dependency', 'name=not+ready', 503, 'not_ready', { name: 'not ready' }],
    ['an internal error', 'name=fault', 500, 'internal_error', { name: 'fault' }],
    ['a body that is too large, with another status', 'a'.repeat(17_000), 400, 'payload_too_large', undefined],
  ])('is used for %s, and the log contains the code and the reason', async (_, sent, status, code, form) => {
    const response = await post('/strict', sent);
    expect(response).toMatchObject({
      status,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-own': 'yes' },
      body: { error: code, requestId: response.headers['x-request-id'] },
    });
    expect(response.body['form']).toEqual(form);
    const lines = await served.linesOf(response.headers['x-request-id']);
    expect(lines.at(-1)).toMatchObject({ route: '/strict', status, code, reason: expect.any(String) });
    expect(JSON.stringify(lines)).not.toContain('not ready');
  });

  test('keeps the headers of the error, including Retry-After', async () => {
    const notReady = await post('/strict', 'name=not+ready');
    expect(notReady).toMatchObject({ headers: { 'retry-after': '1' }, body: { retryAfterSeconds: 1 } });
    let limited = await post('/strict', 'name=a');
    for (let calls = 0; limited.status === 200 && calls < maxRequests; calls += 1)
      limited = await post('/strict', 'name=a');
    expect(limited).toMatchObject({ status: 429, body: { error: 'rate_limited' } });
    expect(limited.body['retryAfterSeconds']).toBe(Number(limited.headers['retry-after']));
    expect(limited.body['retryAfterSeconds']).toBeGreaterThan(1);
  });

  test('returns the usual 405 for other methods', async () => {
    const { status, headers, text } = await send(served.baseUrl, '/strict');
    expect([status, headers['content-type'], headers.allow]).toEqual([
      405,
      'application/problem+json; charset=utf-8',
      'POST, OPTIONS',
    ]);
    expect(JSON.parse(text)).toMatchObject({ code: 'method_not_allowed' });
  });

  test('that fails to format an error returns a problem document and logs the failure', async () => {
    const { status, headers, body } = await post('/speechless', 'more=1');
    expect([status, headers['content-type'], body['code']]).toEqual([
      500,
      'application/problem+json; charset=utf-8',
      'internal_error',
    ]);
    expect(await served.linesOf(headers['x-request-id'])).toMatchObject([
      { err: { message: 'no words' } },
      { status: 500, code: 'internal_error' },
    ]);
  });
});
