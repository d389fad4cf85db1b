import type { z } from 'zod';
import type { RefusalClass } from '../kernel/refusal.ts';
import type { Endpoint, RefusalForm } from './endpoint.ts';
import { type Components, exampleOf, type Json } from './openapi-schemas.ts';
import { problemUrl } from './problem.ts';
import { statusOf } from './send.ts';

const responseHeaders = { 'X-Request-Id': { $ref: '#/components/headers/XRequestId' } };
const challengeHeaders = { 'WWW-Authenticate': { $ref: '#/components/headers/WWWAuthenticate' } };
const limitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};
const retryHeaders = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

function problemExample({ kind }: RefusalClass, serverUrl: string): Json {
  const { code, challenges: _, ...rest } = kind;
  const errors =
    code === 'validation_failed' ? { errors: [{ path: 'email', message: 'must be an e-mail address' }] } : {};
  const instance = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
  return { summary: kind.title, value: { type: problemUrl(serverUrl, code), ...rest, instance, code, ...errors } };
}

/** One response a status: its problems' codes, and an example of each. */
export function problemResponses(refusals: readonly RefusalClass[], serverUrl: string): Record<string, Json> {
  const statuses = [...new Set(refusals.map(({ kind }) => kind.status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const same = refusals.filter(({ kind }) => kind.status === status);
      return [status, problemResponse(status, same, serverUrl)];
    }),
  );
}

const codeOf = (refusals: readonly RefusalClass[]): Json => ({
  type: 'string',
  description: 'Stable; what programs decide by',
  enum: refusals.map(({ kind }) => kind.code),
});

function problemResponse(status: number, same: readonly RefusalClass[], serverUrl: string): Json {
  return {
    description: same.map(({ kind }) => `\`${kind.code}\`: ${kind.title}`).join('; '),
    headers: refusalHeaders(status, same),
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: codeOf(same) } }] },
        examples: Object.fromEntries(same.map((refusal) => [refusal.kind.code, problemExample(refusal, serverUrl)])),
      },
    },
  };
}

/** The same, in a form of the endpoint's own. */
export function refusalResponses(
  refusals: readonly RefusalClass[],
  { schema, type, codeMember, outcomeOf }: RefusalForm,
  components: Components,
): Record<string, Json> {
  const outcomes = refusals.map((refusal) => ({ ...outcomeOf(refusal.kind), refusal }));
  const statuses = [...new Set(outcomes.map(({ status }) => status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const same = outcomes.filter((outcome) => outcome.status === status);
      const codes = [...new Set(same.map(({ code }) => code))];
      const of = (code: string) => same.filter((outcome) => outcome.code === code);
      const titlesOf = (code: string) => [...new Set(of(code).map(({ refusal }) => refusal.kind.title))].join(', ');
      const schemaOfCode = { type: 'string', description: 'Stable; what programs decide by', enum: codes };
      const response = {
        description: codes.map((code) => `\`${code}\`: ${titlesOf(code)}`).join('; '),
        headers: refusalHeaders(
          status,
          same.map(({ refusal }) => refusal),
        ),
        content: {
          [type]: {
            schema: { allOf: [components.add(schema, 'output'), { properties: { [codeMember]: schemaOfCode } }] },
            examples: Object.fromEntries(
              codes.map((code) => [code, { summary: titlesOf(code), value: of(code)[0]?.body }]),
            ),
          },
        },
      };
      return [status, response];
    }),
  );
}

const refusalHeaders = (status: number, same: readonly RefusalClass[]): Json => ({
  ...responseHeaders,
  ...(same.some(({ kind }) => kind.challenges) ? challengeHeaders : {}),
  ...([423, 429, 503].includes(status) ? retryHeaders : {}),
  ...(status === 429 ? limitHeaders : {}),
});

/** Every good outcome by its status. */
export function success(endpoint: Endpoint, components: Components): Record<string, Json> {
  const { reply, replyType = 'application/json', alsoReplies = [], cacheable, limit } = endpoint;
  const headers = { ...responseHeaders, ...(limit === 'none' ? {} : limitHeaders) };
  const outcome = (schema: z.ZodType | undefined, description: string): Json => {
    if (!schema) return { description, headers };
    const example = exampleOf(schema);
    const content = { schema: components.add(schema, 'output'), ...(example === undefined ? {} : { example }) };
    return { description, headers, content: { [replyType.split(';')[0] ?? replyType]: content } };
  };
  return {
    [statusOf(endpoint)]: outcome(reply, reply ? 'Success' : 'Done'),
    ...Object.fromEntries(alsoReplies.map((other) => [other.status, outcome(other.reply, other.description)])),
    ...(cacheable ? { 304: { description: 'Not modified: the copy that `If-None-Match` names is current' } } : {}),
  };
}
