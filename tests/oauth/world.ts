// Requests of OAuth clients, and API keys for them.
import { expect } from '@jest/globals';
import type { Response } from 'supertest';
import { password, type TestApp } from '../harness.ts';

export type Parameters = Record<string, string>;

/** The `Authorization` header of a client (RFC 6749 section 2.3.1). */
export const basic = (id: string, secret: string): { authorization: string } => {
  const part = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
  return { authorization: `Basic ${Buffer.from(`${part(id)}:${part(secret)}`).toString('base64')}` };
};

export const postForm = (
  app: Pick<TestApp, 'call'>,
  path: string,
  form: Parameters | string,
  headers: Record<string, string> = {},
): Promise<Response> =>
  app.call('post', path, {
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });

export interface ApiKey {
  id: string;
  client_id: string;
  client_secret: string;
}

/** Creates an API key of an account. */
export async function makeApiKey(
  app: TestApp,
  email: string,
  scopes: string[],
  more: Record<string, unknown> = {},
): Promise<ApiKey> {
  const login = await app.post('/login', { email, password, scope: ['api-keys', ...scopes].join(' ') });
  const { status, body } = await app.post('/api-keys', { name: 'Test', scopes, ...more }, login.body.access_token);
  expect([status, body]).toEqual([201, expect.objectContaining({ scopes: scopes.toSorted() })]);
  return body as ApiKey;
}

/** Gives an account the built-in role `admin`. */
export const makeAdmin = (app: TestApp, userId: string) =>
  app.sql.query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'admin')", [userId]);

/** Returns the status and code of an error after checking its format (RFC 6749 section 5.2). */
export function errorOf(response: Response): [status: number, error: string] {
  expect(response.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    pragma: 'no-cache',
  });
  const { error, error_description: description, ...rest } = response.body as Record<string, string>;
  expect(rest).toEqual({});
  expect(description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  return [response.status, error ?? ''];
}

export const eventsOf = async (app: TestApp, type: string): Promise<Record<string, unknown>[]> =>
  (await app.sql.query('SELECT * FROM audit_events WHERE type = $1 ORDER BY id', [type])).rows;
