import type { z } from 'zod';
import { InsufficientScope, InvalidAccessToken, NotFound, RateLimited, ValidationFailed } from '../../core/errors.ts';
import { type ApiErrorClass, NotReady } from '../../lib/errors.ts';
import type { Endpoint, ErrorFormat } from '../endpoint.ts';
import {
  FormExpected,
  InternalError,
  MalformedForm,
  MalformedJson,
  PayloadTooLarge,
  RepeatedParameter,
  UnsupportedMediaType,
} from '../errors.ts';
import { problemUrl } from '../problem.ts';
import { statusOf } from '../response.ts';
import { type Components, exampleOf, type Json } from './schemas.ts';

const idHeader = { 'X-Request-Id': { $ref: '#/components/headers/XRequestId' } };
const challengeHeader = { 'WWW-Authenticate': { $ref: '#/components/headers/WWWAuthenticate' } };
const limitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};
const retryHeader = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

/** The main response and its alternatives, by status. */
export function successResponses(endpoint: Endpoint, components: Components): Record<string, Json> {
  const { response, contentType = 'application/json', alternativeResponses = [], cacheable, ceiling } = endpoint;
  const headers = { ...idHeader, ...(ceiling === 'none' ? {} : limitHeaders) };
  const toResponse = (schema: z.ZodType | undefined, description: string): Json => {
    if (!schema) return { description, headers };
    const example = exampleOf(schema);
    const content = { schema: components.add(schema, 'output'), ...(example === undefined ? {} : { example }) };
    return { description, headers, content: { [contentType.split(';')[0] ?? contentType]: content } };
  };
  const alternatives = alternativeResponses.map((each) => [each.status, toResponse(each.response, each.description)]);
  return {
    [statusOf(endpoint)]: toResponse(response, response ? 'Success' : 'Success, without a body'),
    ...Object.fromEntries(alternatives),
    ...(cacheable ? { 304: { description: 'Not modified: the copy in `If-None-Match` is current' } } : {}),
  };
}

/** One error with its representation in a format. */
interface Outcome {
  error: ApiErrorClass;
  status: number;
  code: string;
  body: unknown;
}

/** Groups outcomes to one response per status, which lists their codes. */
function errorResponses(outcomes: readonly Outcome[], type: string, codeMember: string, schema: Json) {
  const statuses = [...new Set(outcomes.map(({ status }) => status))];
  return Object.fromEntries(
    statuses.map((status): [number, Json] => {
      const sameStatus = outcomes.filter((outcome) => outcome.status === status);
      const codes = [...new Set(sameStatus.map(({ code }) => code))].map((code) => {
        const sameCode = sameStatus.filter((outcome) => outcome.code === code);
        const title = [...new Set(sameCode.map(({ error }) => error.definition.title))].join(', ');
        return { code, title, example: { summary: title, value: sameCode[0]?.body } };
      });
      const codeSchema = {
        type: 'string',
        description: 'A stable code for programs',
        enum: codes.map(({ code }) => code),
      };
      const response = {
        description: codes.map(({ code, title }) => `\`${code}\`: ${title}`).join('; '),
        headers: errorHeaders(
          status,
          sameStatus.map(({ error }) => error),
        ),
        content: {
          [type]: {
            schema: { allOf: [schema, { properties: { [codeMember]: codeSchema } }] },
            examples: Object.fromEntries(codes.map(({ code, example }) => [code, example])),
          },
        },
      };
      return [status, response];
    }),
  );
}

const errorHeaders = (status: number, errors: readonly ApiErrorClass[]): Json => ({
  ...idHeader,
  ...(errors.some(({ definition }) => definition.challenges) ? challengeHeader : {}),
  ...([423, 429, 503].includes(status) ? retryHeader : {}),
  ...(status === 429 ? limitHeaders : {}),
});

/** The errors of an endpoint as problem documents. */
export function problemResponses(errors: readonly ApiErrorClass[], serverUrl: string): Record<string, Json> {
  const outcomes = errors.map((error) => {
    const { status, code } = error.definition;
    return { error, status, code, body: problemExample(error, serverUrl) };
  });
  return errorResponses(outcomes, 'application/problem+json', 'code', { $ref: '#/components/schemas/Problem' });
}

function problemExample({ definition }: ApiErrorClass, serverUrl: string): Json {
  const { status, code, title, detail } = definition;
  const instance = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
  const errors =
    code === 'validation_failed' ? { errors: [{ path: 'email', message: 'must be an email address' }] } : {};
  return { type: problemUrl(serverUrl, code), status, title, detail, instance, code, ...errors };
}

/** The errors of an endpoint in its own format. */
export function customErrorResponses(
  errors: readonly ApiErrorClass[],
  { schema, type, codeMember, outcomeOf }: ErrorFormat,
  components: Components,
): Record<string, Json> {
  const outcomes = errors.map((error) => ({ error, ...outcomeOf(error.definition) }));
  return errorResponses(outcomes, type, codeMember, components.add(schema, 'output'));
}

const bodyErrors = {
  json: [MalformedJson, ValidationFailed, PayloadTooLarge, UnsupportedMediaType],
  form: [MalformedForm, RepeatedParameter, ValidationFailed, PayloadTooLarge, FormExpected],
};

/** Every error that an endpoint can return: those that it declares and those that follow from its shape. */
export function errorsOf(endpoint: Endpoint): readonly ApiErrorClass[] {
  const { method, scopes, ceiling, body, bodyType = 'json', query, params, errors = [] } = endpoint;
  return [
    ...new Set([
      ...(scopes ? [InvalidAccessToken, InsufficientScope, ValidationFailed, NotReady] : []),
      ...(body || method === 'post' ? bodyErrors[bodyType] : []),
      ...(query ? [ValidationFailed] : []),
      ...(params ? [NotFound] : []),
      ...errors,
      ...(ceiling === 'none' ? [] : [RateLimited]),
      InternalError,
    ]),
  ];
}
