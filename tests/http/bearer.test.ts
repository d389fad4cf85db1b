import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { password, startApp, type TestApp } from '../harness.ts';
import { operations } from './operations.ts';
import { exchange, send, summaryOf } from './wire.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

describe.each(operations.filter(({ needsToken }) => needsToken))(
  '$method $path without a right',
  ({ method, path, scope }) => {
    const answerTo = async (authorization: string | undefined, query = '') => {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await send(app.baseUrl, path + query, { method, headers });
      return [answer.status, answer.headers['www-authenticate'], (JSON.parse(answer.text) as { code: string }).code];
    };

    test('to come without credentials is no error: RFC 6750 section 3.1', async () => {
      const challenge = [401, 'Bearer realm="keyturn"', 'invalid_access_token'];
      for (const other of [undefined, '', 'Bearer', 'Bearer ', 'Basic YTpi', 'Token x'])
        expect(await answerTo(other)).toEqual(challenge);
    });

    test('a token in the URL is no credential', async () => {
      const { access_token: token } = await app.register();
      const challenge = [401, 'Bearer realm="keyturn"', 'invalid_access_token'];
      expect(await answerTo(undefined, `?access_token=${token}`)).toEqual(challenge);
    });

    test('a bad token is invalid_token', async () => {
      const challenge = [401, 'Bearer realm="keyturn", error="invalid_token"', 'invalid_access_token'];
      for (const bad of ['Bearer x', 'bearer x', 'Bearer a.b.c', 'BEARER  ..'])
        expect(await answerTo(bad)).toEqual(challenge);
    });

    test('a token without the scope is told which one it lacks', async () => {
      const { email, scope: usual } = await app.register();
      expect(usual).toBe('profile sessions');
      const other = scope === 'profile' ? 'sessions' : 'profile';
      const login = await app.call('post', '/login', {
        body: { email, password, scope: other },
      });
      const { access_token: token } = login.body as { access_token: string };
      const challenge = `Bearer realm="keyturn", error="insufficient_scope", scope="${scope}"`;
      expect(await answerTo(`Bearer ${token}`)).toEqual([403, challenge, 'insufficient_scope']);
    });

    test('two Authorization headers are 400 invalid_request, whatever they hold', async () => {
      const line = `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`;
      for (const second of ['Bearer x', 'Basic YTpi']) {
        const received = await exchange(
          app.baseUrl,
          `${line}Authorization: Bearer x\r\nAuthorization: ${second}\r\n\r\n`,
        );
        expect(summaryOf(received)).toMatchObject({ status: 400, type: 'application/problem+json' });
        expect(received).toMatch(/^WWW-Authenticate: Bearer realm="keyturn", error="invalid_request"\r$/m);
      }
    });
  },
);
