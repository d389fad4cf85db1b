import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { startApp, type TestApp } from '../harness.ts';

interface Document {
  servers: { url: string }[];
  paths: Record<string, unknown>;
  components: unknown;
}

const document = parse(readFileSync('openapi.yaml', 'utf8')) as Document;

const issuer = 'https://auth.example.com/tenant';
let app: TestApp;
beforeAll(async () => {
  app = await startApp({ ISSUER: `${issuer}/` });
});
afterAll(() => app.close());

test('the service serves its document under its issuer, as JSON and as YAML', async () => {
  const [json, yaml] = [await app.get('/openapi.json'), await app.get('/openapi.yaml')];
  expect(json.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(yaml.headers['content-type']).toBe('application/yaml; charset=utf-8');
  const served = json.body as Document;
  expect(parse(yaml.text)).toEqual(served);
  expect(served.servers).toEqual([{ url: issuer }]);
  expect(json.text).not.toContain('localhost');
  expect(Object.keys(served.paths)).toEqual(expect.arrayContaining(Object.keys(document.paths)));
  const components = JSON.stringify(document.components).replaceAll('http://localhost:3000', issuer);
  expect(served.components).toEqual(JSON.parse(components));
});

test.each(['/openapi.json', '/openapi.yaml'])('%s returns 304 for its ETag and for no other', async (path) => {
  const { headers } = await app.get(path);
  const etag = String(headers['etag']);
  expect(etag).toMatch(/^"[\w-]+"$/);
  for (const known of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
    const again = await app.get(path, undefined, { 'if-none-match': known });
    expect([known, again.status, again.text, again.headers['etag']]).toEqual([known, 304, '', etag]);
  }
  for (const other of ['"other"', etag.replaceAll('"', ''), ''])
    expect((await app.get(path, undefined, { 'if-none-match': other })).status).toBe(200);
});
