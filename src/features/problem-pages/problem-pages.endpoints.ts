import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { problemUrl } from '../../http/problem.ts';
import { NotFound } from '../../core/errors.ts';
import type { ErrorDefinition } from '../../lib/errors.ts';

const ProblemType = z
  .object({
    type: z.url().meta({ description: 'This page' }),
    code: z.string().meta({ description: 'Stable; what programs decide by' }),
    status: z.int().meta({ description: 'The HTTP status that it comes with' }),
    title: z.string().meta({ description: 'The kind of problem in a few words' }),
    detail: z.string().meta({ description: 'One sentence for people; the text may change' }),
  })
  .meta({
    id: 'ProblemType',
    description: 'A kind of problem',
    examples: [
      {
        type: 'https://auth.example.com/problems/email-taken',
        code: 'email_taken',
        status: 409,
        title: 'E-mail address taken',
        detail: 'There is an account with this e-mail address. Log in instead.',
      },
    ],
  });

/** Where a problem's `type` leads. `kinds` comes by a function, once all endpoints are known. */
export const problem = (baseUrl: string, kinds: () => readonly ErrorDefinition[]) =>
  endpoint({
    method: 'get',
    path: '/problems/:code',
    operationId: 'getProblem',
    tag: 'Operations',
    summary: 'What a kind of problem means',
    params: z.object({
      code: z
        .string()
        .max(64)
        .meta({ description: 'With dashes', examples: ['email-taken'] }),
    }),
    response: ProblemType,
    headers: { 'Cache-Control': 'public, max-age=300' },
    handle: ({ params }) => {
      const kind = kinds().find(({ code }) => code.replaceAll('_', '-') === params.code);
      if (!kind) throw new NotFound('problem');
      const { code, status, title, detail } = kind;
      return { type: problemUrl(baseUrl, code), code, status, title, detail };
    },
  });
