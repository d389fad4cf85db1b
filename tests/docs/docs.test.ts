import { readFile } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { exchange, send } from '../http/wire.ts';

let app: TestApp;
let html: string;
beforeAll(async () => {
  app = await startApp();
  html = (await app.get('/docs')).text;
});
afterAll(() => app.close());

const types: Record<string, string> = {
  'favicon-32x32.png': 'image/png',
  'page.css': 'text/css; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui.css': 'text/css; charset=utf-8',
};
const names = Object.keys(types);

/** The undecoded body of a response. */
async function bytesOf(path: string, acceptEncoding = 'identity'): Promise<Buffer> {
  const response = await exchange(
    app.baseUrl,
    `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${acceptEncoding}\r\nConnection: close\r\n\r\n`,
  );
  return Buffer.from(response.slice(response.indexOf('\r\n\r\n') + 4), 'latin1');
}

describe('the page', () => {
  test('is HTML with a language and a viewport', async () => {
    const { status, headers } = await app.get('/docs');
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
  });

  test('has a Content-Security-Policy without inline code, eval or other origins', async () => {
    const policy = (await app.get('/docs')).headers['content-security-policy'] ?? '';
    const directives = Object.fromEntries(
      policy.split(';').map((directive) => {
        const [name = '', ...sources] = directive.trim().split(' ');
        return [name, sources];
      }),
    );
    expect(directives).toEqual({
      'default-src': ["'none'"],
      'script-src': ["'self'"],
      'style-src': ["'self'"],
      'img-src': ["'self'", 'data:'],
      'connect-src': ["'self'"],
      'frame-ancestors': ["'none'"],
      'base-uri': ["'none'"],
      'form-action': ["'none'"],
    });
  });

  test('uses relative URLs only, so that it works offline and under a path', () => {
    expect(html).not.toMatch(/\/\//);
    const named = [...html.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(([, url]) => url ?? '');
    expect(named.filter((url) => /^[/.]|:/.test(url))).toEqual([]);
    expect(named.filter((url) => url.startsWith('docs/')).sort()).toEqual(names.map((name) => `docs/${name}`));
  });

  test('contains no inline script, style or event handler', () => {
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/i);
  });

  test('links to the OpenAPI documents', async () => {
    for (const name of ['openapi.json', 'openapi.yaml']) {
      expect(html).toContain(`href="${name}"`);
      expect((await app.get(`/${name}`)).status).toBe(200);
    }
  });
});

describe.each(names)('/docs/%s', (name) => {
  const path = `/docs/${name}`;

  test('has its content type, is cacheable, and has the security headers of a file', async () => {
    const { status, headers } = await send(app.baseUrl, path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': types[name],
      'cache-control': 'public, max-age=300',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      vary: 'Origin, Accept-Encoding',
    });
    expect(Number(headers['content-length'])).toBe((await bytesOf(path)).length);
  });

  test('returns the headers of GET and no body for HEAD', async () => {
    const [get, head] = [await send(app.baseUrl, path), await send(app.baseUrl, path, { method: 'HEAD' })];
    expect([head.status, head.text]).toEqual([200, '']);
    for (const header of ['content-type', 'content-length', 'etag', 'vary', 'cache-control'])
      expect([header, head.headers[header]]).toEqual([header, get.headers[header]]);
  });

  test('returns 405 for methods that change a resource', async () => {
    const { status, headers } = await send(app.baseUrl, path, { method: 'PUT' });
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
  });

  test('returns 304 for its ETag in each content coding', async () => {
    for (const coding of ['identity', 'gzip', 'br']) {
      const headers = { 'accept-encoding': coding };
      const { etag } = (await send(app.baseUrl, path, { headers })).headers;
      expect(etag).toMatch(/^"[\w-]{22}"$/);
      const again = await send(app.baseUrl, path, { headers: { ...headers, 'if-none-match': etag } });
      expect([again.status, again.text, again.headers.etag, again.headers.vary]).toEqual([
        304,
        '',
        etag,
        'Origin, Accept-Encoding',
      ]);
      expect(again.headers).not.toHaveProperty('content-encoding');
      expect((await send(app.baseUrl, path, { headers: { ...headers, 'if-none-match': '"other"' } })).status).toBe(200);
    }
  });
});

test.each(['favicon-32x32.png', 'swagger-ui-bundle.js', 'swagger-ui.css'])(
  '%s is identical to the file of swagger-ui-dist',
  async (name) => {
    const file = await readFile(`node_modules/swagger-ui-dist/${name}`);
    expect((await bytesOf(`/docs/${name}`)).equals(file)).toBe(true);
  },
);

describe('compression', () => {
  const path = '/docs/swagger-ui-bundle.js';
  const headersFor = async (acceptEncoding?: string) => {
    const headers = acceptEncoding === undefined ? {} : { 'accept-encoding': acceptEncoding };
    return (await send(app.baseUrl, path, { headers })).headers;
  };

  test.each([
    ['gzip, deflate, br, zstd', 'br'],
    ['br', 'br'],
    ['gzip, deflate', 'gzip'],
    ['gzip;q=0.5, br;q=0', 'gzip'],
    ['*', 'br'],
    ['br;q=0, gzip;q=0', undefined],
    ['identity', undefined],
    ['zstd', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('Accept-Encoding "%s" returns %s', async (acceptEncoding, coding) => {
    expect((await headersFor(acceptEncoding))['content-encoding']).toBe(coding);
  });

  test('compressed bodies decompress to the original at less than a third of its size, with an ETag for each coding', async () => {
    const plain = await bytesOf(path);
    const [br, gzip] = [await bytesOf(path, 'br'), await bytesOf(path, 'gzip')];
    expect(brotliDecompressSync(br).equals(plain)).toBe(true);
    expect(gunzipSync(gzip).equals(plain)).toBe(true);
    expect(br.length).toBeLessThan(plain.length / 3);
    expect(gzip.length).toBeLessThan(plain.length / 3);
    const tags = await Promise.all(['identity', 'gzip', 'br'].map(async (coding) => (await headersFor(coding)).etag));
    expect(new Set(tags).size).toBe(3);
  });

  test('a file that compression does not shrink is not compressed', async () => {
    const { headers } = await send(app.baseUrl, '/docs/favicon-32x32.png', {
      headers: { 'accept-encoding': 'br, gzip' },
    });
    expect(headers).not.toHaveProperty('content-encoding');
  });
});

test.each([
  '/docs/',
  '/docs//',
  '/Docs',
  '/docs/index.html',
  '/docs/swagger-ui.js',
  '/docs/swagger-ui-bundle.js.map',
  '/docs/oauth2-redirect.html',
  '/docs/package.json',
  '/docs/page.ts',
  '/docs/SWAGGER-UI.CSS',
  '/docs/swagger-ui.css/',
  '/docs/./swagger-ui.css',
  '/docs/x/../swagger-ui.css',
  '/docs/../package.json',
  '/docs/../../package.json',
  '/docs/..%2fpackage.json',
  '/docs/..%2f..%2fpackage.json',
  '/docs/%2e%2e/package.json',
  '/docs/..%5cpackage.json',
  '/docs/....//package.json',
  '/docs/swagger-ui.css%00.png',
  '/docs/%2fetc%2fpasswd',
  '/docs//etc/passwd',
  '/docs/constructor',
  '/docs/__proto__',
])('an unknown file returns 404: %s', async (path) => {
  const { status, headers, text } = await send(app.baseUrl, path);
  expect([status, headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8']);
  expect(JSON.parse(text)).toMatchObject({ code: 'not_found' });
});

test('the page ignores the query', async () => {
  const { status, text } = await send(app.baseUrl, '/docs?url=https://elsewhere.example/openapi.json&configUrl=/x');
  expect([status, text]).toEqual([200, html]);
});

test('the OpenAPI document lists the page but not its files', async () => {
  const { paths } = (await app.get('/openapi.json')).body as { paths: object };
  expect(Object.keys(paths).filter((path) => path.startsWith('/docs'))).toEqual(['/docs']);
});
