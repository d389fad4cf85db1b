import type { z } from 'zod';
import type { ApiErrorClass } from '../../lib/errors.ts';
import type { Endpoint, ErrorFormat } from '../endpoint.ts';
import { type Components, exampleOf, type Json } from './schemas.ts';
import { problemUrl } from '../problem.ts';
import { statusOf } from '../response.ts';

const responseHeaders = { 'X-Request-Id': { $ref: '#/components/headers/XRequestId' } };
const challengeHeaders = { 'WWW-Authenticate': { $ref: '#/components/headers/WWWAuthenticate' } };
const limitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};
const retryHeaders = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

function problemExample({ definition }: ApiErrorClass, serverUrl: string): Json {
  const { code, challenges: _, ...rest } = definition;
  const errors =
    code === 'validation_failed' ? { errors: [{ path: 'email', message: 'must be an e-mail address' }] } : {};
  const instance = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
  return {
    summary: definition.title,
    value: { type: problemUrl(serverUrl, code), ...rest, instance, code, ...errors },
  };
}

/** One response a status: its problems' codes, and an example of each. */
export function problemResponses(errors: readonly ApiErrorClass[], serverUrl: string): Record<string, Json> {
  const statuses = [...new Set(errors.map(({ definition }) => definition.status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const same = errors.filter(({ definition }) => definition.status === status);
      return [status, problemResponse(status, same, serverUrl)];
    }),
  );
}

const codeOf = (errors: readonly ApiErrorClass[]): Json => ({
  type: 'string',
  description: 'Stable; what programs decide by',
  enum: errors.map(({ definition }) => definition.code),
});

function problemResponse(status: number, same: readonly ApiErrorClass[], serverUrl: string): Json {
  return {
    description: same.map(({ definition }) => `\`${definition.code}\`: ${definition.title}`).join('; '),
    headers: refusalHeaders(status, same),
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: codeOf(same) } }] },
        examples: Object.fromEntries(
          same.map((refusal) => [refusal.definition.code, problemExample(refusal, serverUrl)]),
        ),
      },
    },
  };
}

/** The same, in a form of the endpoint's own. */
export function customErrorResponses(
  errors: readonly ApiErrorClass[],
  { schema, type, codeMember, outcomeOf }: ErrorFormat,
  components: Components,
): Record<string, Json> {
  const outcomes = errors.map((refusal) => ({ ...outcomeOf(refusal.definition), refusal }));
  const statuses = [...new Set(outcomes.map(({ status }) => status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const same = outcomes.filter((outcome) => outcome.status === status);
      const codes = [...new Set(same.map(({ code }) => code))];
      const of = (code: string) => same.filter((outcome) => outcome.code === code);
      const titlesOf = (code: string) =>
        [...new Set(of(code).map(({ refusal }) => refusal.definition.title))].join(', ');
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

const refusalHeaders = (status: number, same: readonly ApiErrorClass[]): Json => ({
  ...responseHeaders,
  ...(same.some(({ definition }) => definition.challenges) ? challengeHeaders : {}),
  ...([423, 429, 503].includes(status) ? retryHeaders : {}),
  ...(status === 429 ? limitHeaders : {}),
});

/** Every good outcome by its status. */
export function success(endpoint: Endpoint, components: Components): Record<string, Json> {
  const { response, contentType = 'application/json', alternativeResponses = [], cacheable, ceiling } = endpoint;
  const headers = { ...responseHeaders, ...(ceiling === 'none' ? {} : limitHeaders) };
  const outcome = (schema: z.ZodType | undefined, description: string): Json => {
    if (!schema) return { description, headers };
    const example = exampleOf(schema);
    const content = { schema: components.add(schema, 'output'), ...(example === undefined ? {} : { example }) };
    return { description, headers, content: { [contentType.split(';')[0] ?? contentType]: content } };
  };
  return {
    [statusOf(endpoint)]: outcome(response, response ? 'Success' : 'Done'),
    ...Object.fromEntries(
      alternativeResponses.map((other) => [other.status, outcome(other.response, other.description)]),
    ),
    ...(cacheable ? { 304: { description: 'Not modified: the copy that `If-None-Match` names is current' } } : {}),
  };
}
