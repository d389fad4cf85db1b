// Requests of an OAuth client, and the errors that it gets.
import { expect } from '@jest/globals';
import type { Response } from 'supertest';
import type { Client } from '../harness.ts';

export type Parameters = Record<string, string>;

/** The `Authorization` header of a client (RFC 6749 section 2.3.1). */
export const basic = (id: string, secret: string): { authorization: string } => {
  const part = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
  return { authorization: `Basic ${Buffer.from(`${part(id)}:${part(secret)}`).toString('base64')}` };
};

export const postForm = (
  app: Pick<Client, 'call'>,
  path: string,
  form: Parameters | string,
  headers: Record<string, string> = {},
): Promise<Response> =>
  app.call('post', path, {
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });

/** Returns status and error of an error response. Asserts every rule of its form (RFC 6749 section 5.2). */
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
