import { ValidationFailed } from '../errors.ts';
import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import { normalizePassword, type PasswordContext, type PasswordPolicy } from './password-policy.ts';

/** A password that is to be set, and the client who waits for it. */
export interface PasswordToSet {
  /** The member of the body that it stands in. */
  field: string;
  password: string;
  context: PasswordContext;
  gone: AbortSignal;
}

/** Hashes a password that the policy accepts. @throws ValidationFailed with every reason why not, Overloaded */
export const makeHashNewPassword =
  ({ policy, hasher }: { policy: PasswordPolicy; hasher: Hasher }) =>
  async ({ field, password, context, gone }: PasswordToSet): Promise<string> => {
    const faults = await policy.faults(password, context);
    if (faults.length > 0) throw new ValidationFailed(faults.map((message) => ({ path: field, message })));
    return hasher.hash(normalizePassword(password), gone);
  };

export type HashNewPassword = ReturnType<typeof makeHashNewPassword>;
