// keyturn/verify: checks the access tokens of a Keyturn service, in the services behind it.
export type { AccessClaims } from './claims.ts';
export { InvalidTokenError, KeysUnavailableError } from './errors.ts';
export {
  type AuthOptions,
  authOf,
  type AuthRequest,
  type Guard,
  requireAuth,
  requireOwner,
  requireScope,
} from './express.ts';
export { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts';
