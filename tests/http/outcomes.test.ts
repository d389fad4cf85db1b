import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { endpoint, type Endpoint, ResponseWithHeaders } from '../../src/http/endpoint.ts';
import { makeOpenApi } from '../../src/http/openapi/document.ts';
import { serveEndpoints, type ServedEndpoints } from '../support/endpoints.ts';
import { send } from './wire.ts';

const Made = z.strictObject({ id: z.string() }).meta({ examples: [{ id: '1' }] });
const Later = z.strictObject({ message: z.string() }).meta({ examples: [{ message: 'wait' }] });
const declared = { method: 'post', tag: 'Outcomes', summary: 'Two good outcomes' } as const;

const endpoints: Endpoint[] = [
  endpoint({
    ...declared,
    path: '/two',
    operationId: 'two',
    query: z.strictObject({ outcome: z.string() }),
    response: Made,
    status: 201,
    alternativeResponses: [{ status: 202, response: Later, description: 'An email will be sent' }],
    handle({ query }) {
      if (query.outcome === 'made') return { id: '1' };
      if (query.outcome === 'made, with a header') return new ResponseWithHeaders({ id: '2' }, { 'X-Own': 'yes' });
      if (query.outcome === 'undeclared') return new ResponseWithHeaders({ message: 'wait' }, {}, 203);
      if (query.outcome === 'crossed') return new ResponseWithHeaders({ id: '1' }, {}, 202);
      return new ResponseWithHeaders({ message: 'wait' }, { 'X-Own': 'yes' }, 202);
    },
  }),
  endpoint({
    ...declared,
    path: '/accepted',
    operationId: 'accepted',
    response: Later,
    status: 202,
    handle: () => ({ message: 'wait' }),
  }),
  endpoint({
    ...declared,
    path: '/nothing',
    operationId: 'nothing',
    alternativeResponses: [{ status: 202, response: Later, description: 'An email will be sent' }],
    query: z.strictObject({ later: z.string().optional() }),
    handle: ({ query }) => (query.later ? new ResponseWithHeaders({ message: 'wait' }, {}, 202) : undefined),
  }),
];

let served: ServedEndpoints;
beforeAll(async () => void (served = await serveEndpoints(endpoints)));
afterAll(() => served.close());

test.each<[path: string, status: number, body: object | undefined, own: string | undefined]>([
  ['/two?outcome=made', 201, { id: '1' }, undefined],
  ['/two?outcome=made,+with+a+header', 201, { id: '2' }, 'yes'],
  ['/two?outcome=later', 202, { message: 'wait' }, 'yes'],
  ['/accepted', 202, { message: 'wait' }, undefined],
  ['/nothing', 204, undefined, undefined],
  ['/nothing?later=1', 202, { message: 'wait' }, undefined],
])('%s returns %i with its body and headers', async (path, status, body, own) => {
  const { status: actualStatus, headers, text } = await send(served.baseUrl, path, { method: 'POST' });
  expect([actualStatus, text, headers['x-own'], headers['cache-control']]).toEqual([
    status,
    body ? JSON.stringify(body) : '',
    own,
    'no-store',
  ]);
  expect(headers['content-type']).toBe(body && 'application/json; charset=utf-8');
});

test.each([
  ['a status that is not declared', 'undeclared', 'two does not declare 203'],
  ['the body of another status', 'crossed', 'message'],
])('%s fails in tests', async (_, outcome, fault) => {
  const { status, headers } = await send(served.baseUrl, `/two?outcome=${outcome}`, { method: 'POST' });
  expect(status).toBe(500);
  const [line] = await served.linesOf(headers['x-request-id']);
  expect(line).toMatchObject({ err: { message: expect.stringContaining(fault) } });
});

test('every successful outcome is documented, with its schema and its example', () => {
  const info = { title: 'T', version: '1', description: 'D', serverUrl: 'https://auth.example.com', tags: [] };
  const { paths } = makeOpenApi(endpoints, info) as {
    paths: Record<string, { post: { responses: Record<string, unknown> } }>;
  };
  const json = (example: object) => ({ content: { 'application/json': { example } } });
  expect(paths['/two']?.post.responses).toMatchObject({
    201: { description: 'Success', ...json({ id: '1' }) },
    202: { description: 'An email will be sent', ...json({ message: 'wait' }) },
  });
  expect(paths['/accepted']?.post.responses).toMatchObject({ 202: { description: 'Success' } });
  expect(paths['/nothing']?.post.responses).toMatchObject({
    202: json({ message: 'wait' }),
    204: { description: 'Success, without a body' },
  });
});
