import { ValidationFailed } from '../../http/refusals.ts';
import type { Hasher } from '../../platform/hasher.ts';
import { normalizePassword, type PasswordPolicy } from './password-policy.ts';

/** Hashes a password that the policy accepts. @throws ValidationFailed with every reason why not, Overloaded */
export const makeNewPassword =
  ({ policy, hasher }: { policy: PasswordPolicy; hasher: Hasher }) =>
  async (field: string, password: string, context: { email: string; displayName: string }): Promise<string> => {
    const faults = await policy.faults(password, context);
    if (faults.length > 0) throw new ValidationFailed(faults.map((message) => ({ path: field, message })));
    return hasher.hash(normalizePassword(password));
  };

export type NewPassword = ReturnType<typeof makeNewPassword>;
