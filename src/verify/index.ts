// keyturn/verify verifies the access tokens of a Keyturn service in your own services.
export type { AccessClaims } from './claims.ts';
export { InvalidTokenError, KeysUnavailableError } from './errors.ts';
export {
  type AuthOptions,
  type AuthRequest,
  getAuth,
  type Middleware,
  requireAuth,
  requireOwner,
  requireScope,
} from './express.ts';
export { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts';
