import { randomSecret } from '../../lib/secrets.ts';

/** Stands where a hash stands, and no password matches it; each is another, so that none can be taken for the last. */
export const createUnusableHash = (): string => `!${randomSecret(16).toString('base64url')}`;
