import { z } from 'zod';
import { refreshFailureReasons } from '../../core/sessions/sessions.errors.ts';

export const Problem = z
  .object({
    type: z.string().meta({ description: 'URL of a page about this kind of problem' }),
    title: z.string().meta({ description: 'The kind of problem in a few words' }),
    status: z.int().meta({ description: 'The HTTP status' }),
    detail: z.string().meta({ description: 'A sentence for people. The text can change' }),
    instance: z.string().meta({ description: 'The request id, as in `X-Request-Id` and the log of the service' }),
    code: z.string().meta({ description: 'A stable code for programs' }),
    reason: z.enum(refreshFailureReasons).optional().meta({ description: 'Why a genuine refresh token was refused' }),
    checks: z.record(z.string(), z.string()).optional().meta({ description: 'The checks of `/readyz`' }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({ description: 'The member, with dots between levels, or the header' }),
          message: z.string().meta({ description: 'What is wrong. The text can change' }),
        }),
      )
      .optional()
      .meta({ description: 'Every error in the request, if the code is `validation_failed`' }),
  })
  .meta({ id: 'Problem', description: 'A problem document (RFC 9457)' });
