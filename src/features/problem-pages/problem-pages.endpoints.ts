import { z } from 'zod';
import { NotFound } from '../../core/errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { MethodNotAllowed } from '../../http/errors.ts';
import { errorsOf } from '../../http/openapi/responses.ts';
import { problemUrl } from '../../http/problem.ts';

const ProblemType = z
  .object({
    type: z.url().meta({ description: 'The URL of this page' }),
    code: z.string().meta({ description: 'A stable code for programs' }),
    status: z.int().meta({ description: 'The HTTP status' }),
    title: z.string().meta({ description: 'A short summary of the problem type' }),
    detail: z.string().meta({ description: 'A sentence for people. The text can change' }),
  })
  .meta({
    id: 'ProblemType',
    description: 'A problem type',
    examples: [
      {
        type: 'https://auth.example.com/problems/email-taken',
        code: 'email_taken',
        status: 409,
        title: 'Email address taken',
        detail: 'An account with this email address already exists. Log in instead.',
      },
    ],
  });

/** The pages that the `type` of a problem links to. `endpoints` is called per request, when all endpoints are known. */
export const problemPageEndpoints = (baseUrl: string, endpoints: () => readonly Endpoint[]): Endpoint[] => [
  endpoint({
    method: 'get',
    path: '/problems/:code',
    operationId: 'getProblem',
    tag: 'Operations',
    summary: 'Get the description of a problem type',
    params: z.object({
      code: z
        .string()
        .max(64)
        .meta({ description: 'The code, with dashes instead of underscores', examples: ['email-taken'] }),
    }),
    response: ProblemType,
    headers: { 'Cache-Control': 'public, max-age=300' },
    handle({ params }) {
      const errors = [...endpoints().flatMap(errorsOf), MethodNotAllowed];
      const definition = errors
        .map((error) => error.definition)
        .find(({ code }) => code.replaceAll('_', '-') === params.code);
      if (!definition) throw new NotFound('problem');
      const { code, status, title, detail } = definition;
      return { type: problemUrl(baseUrl, code), code, status, title, detail };
    },
  }),
];
