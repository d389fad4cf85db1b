import { z } from 'zod';
import { ValidationFailed } from '../../core/errors.ts';

/** RFC 6749 section 3.2: "Parameters sent without a value MUST be treated as if they were omitted". Unknown ones are ignored. */
export const oauthForm = <Shape extends z.ZodRawShape>(shape: Shape, meta: { id: string; description: string }) =>
  z.preprocess(
    (form) => Object.fromEntries(Object.entries(form as object).filter(([, value]) => value !== '')),
    z.object(shape).meta(meta),
  );

/** A parameter that is needed, once it is known what for. @throws ValidationFailed */
export function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new ValidationFailed([{ path: name, message: 'is needed' }]);
  return value;
}

const needed = { error: 'is needed' };

/** How a client without `Authorization` says who it is (RFC 6749 section 2.3.1). */
export const clientParameters = {
  client_id: z.string().optional().meta({ description: "`first-party`, or an API key's `client_id`" }),
  client_secret: z.string().optional().meta({ description: 'Of an API key, where it does not come by HTTP Basic' }),
};

/** Of `/revoke` and `/introspect`. */
export const tokenParameters = {
  token: z.string(needed).meta({ description: 'A refresh token or an access token' }),
  token_type_hint: z.string().optional().meta({ description: 'Not needed: a token shows what it is' }),
};
