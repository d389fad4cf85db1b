import { z } from 'zod';

/** The member of a request that chooses whether API keys are revoked together with sessions. */
export const RevokeApiKeys = z
  .boolean()
  .default(false)
  .meta({ description: 'Whether to revoke all API keys of the account as well', examples: [true] });

/** The optional body of a request that revokes every session of an account. */
export const LogoutAllRequest = z
  .strictObject({ revoke_api_keys: RevokeApiKeys })
  .meta({ id: 'LogoutAllRequest', examples: [{ revoke_api_keys: true }] });
