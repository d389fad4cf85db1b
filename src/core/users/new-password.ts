import type { z } from 'zod';
import type { FieldError } from '../../lib/errors.ts';
import type { UserId } from '../../lib/ids.ts';
import { randomSecret } from '../../lib/secrets.ts';
import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { ValidationFailed } from '../errors.ts';
import type { RequestInfo } from '../request-info.ts';
import { type PasswordContext, type PasswordPolicy } from './password-policy.ts';
import { whenText } from './user.ts';

export interface NewPasswordInput {
  /** The member of the request body that contains the password. */
  field: string;
  password: string;
  context: PasswordContext;
  request: RequestInfo;
}

export type HashNewPassword = (input: NewPasswordInput) => Promise<string>;

/** Hashes a password that the policy accepts. @throws ValidationFailed with every violation, Overloaded */
export const makeHashNewPassword =
  ({ policy, hasher }: { policy: PasswordPolicy; hasher: Hasher }): HashNewPassword =>
  async ({ field, password, context, request }) => {
    const violations = await policy.check(password, context);
    if (violations.length > 0)
      throw new ValidationFailed(violations.map((message): FieldError => ({ path: field, message })));
    return hasher.hash(password, request);
  };

/**
 * Arguments of a schema's `superRefine`: reports what is wrong with `new_password` itself together with the other errors of the
 * body.
 */
export const checksNewPassword = (policy: PasswordPolicy) =>
  [
    ({ new_password: password }: { new_password: string }, context: z.RefinementCtx): void => {
      for (const message of policy.checkOffline(password))
        context.addIssue({ code: 'custom', path: ['new_password'], message });
    },
    whenText('new_password'),
  ] as const;

/** A value in place of a password hash that no password matches. Each one differs, so that comparisons with an older one fail. */
export const createUnusableHash = (): string => `!${randomSecret(16).toString('base64url')}`;

/** Replaces the hash of a password; false if the password was changed since `verifiedHash` was read. */
export async function replacePasswordHash(
  tx: Transaction,
  id: UserId,
  verifiedHash: string,
  passwordHash: string,
): Promise<boolean> {
  const { count } = await tx.user.updateMany({ where: { id, passwordHash: verifiedHash }, data: { passwordHash } });
  return count === 1;
}
