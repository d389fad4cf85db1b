import { z } from 'zod';
import { refreshFailureReasons } from '../../core/sessions/sessions.errors.ts';

export const Problem = z
  .object({
    type: z.string().meta({ description: 'The URL of a page that describes the problem type' }),
    title: z.string().meta({ description: 'A short summary of the problem type' }),
    status: z.int().meta({ description: 'The HTTP status' }),
    detail: z.string().meta({ description: 'A sentence for people. The text can change' }),
    instance: z.string().meta({ description: 'The request id, also in `X-Request-Id` and in the log of the service' }),
    code: z.string().meta({ description: 'A stable code for programs' }),
    reason: z
      .enum(refreshFailureReasons)
      .optional()
      .meta({ description: 'Why the refresh token was rejected. Only for tokens that this service issued' }),
    checks: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: 'The results of the checks. Only for `/readyz`' }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({
            description: 'The path of the invalid member, with dots between levels, or the name of the header',
          }),
          message: z.string().meta({ description: 'What is wrong. The text can change' }),
        }),
      )
      .optional()
      .meta({ description: 'Every error in the request. Only for `validation_failed`' }),
  })
  .meta({ id: 'Problem', description: 'A problem document (RFC 9457)' });
