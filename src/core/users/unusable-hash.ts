import { randomSecret } from '../../kernel/secret.ts';

/** Stands where a hash stands, and no password matches it; each is another, so that none can be taken for the last. */
export const unusableHash = (): string => `!${randomSecret(16).toString('base64url')}`;
