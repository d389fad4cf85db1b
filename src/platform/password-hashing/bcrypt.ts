import { createHash } from 'node:crypto';
import { verify } from '@node-rs/bcrypt';
import { type HashFormat, tooExpensive } from './hash-format.ts';

const maxCost = 15;

const costErrorOf = (cost: string) => (Number(cost) > maxCost ? tooExpensive : undefined);

const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Clears the bits of a last character that encode nothing. */
const clearBits = (character: string, bits: number): string =>
  alphabet.charAt((alphabet.indexOf(character) >> bits) << bits);

/**
 * Normalizes the ends of the salt (22 characters for 16 bytes) and of the hash (31 for 23), whose last bits encode nothing. Some tools
 * fill them with random bits. OpenBSD and its ports ignore them, but the verifying library does not.
 */
const normalize = (hash: string): string =>
  hash.slice(0, -32) + clearBits(hash.charAt(hash.length - 32), 4) + hash.slice(-31, -1) + clearBits(hash.slice(-1), 2);

/** The modular crypt format, which Django prefixes with `bcrypt$` and Spring Security with `{bcrypt}`. */
const plain: HashFormat = {
  pattern: /^(?:bcrypt\$|\{bcrypt\})?(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53})$/,
  parse(hash, cost) {
    const stored = normalize(hash);
    return { stored, costError: costErrorOf(cost), matches: (password) => verify(password, stored) };
  },
};

/** Django's bcrypt of the hexadecimal SHA-256 of the password, which also covers the bytes after the 72nd. */
const djangoSha256: HashFormat = {
  pattern: /^bcrypt_sha256\$(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53})$/,
  parse(hash, cost) {
    const inner = normalize(hash);
    return {
      stored: `bcrypt_sha256$${inner}`,
      costError: costErrorOf(cost),
      matches: (password) => verify(createHash('sha256').update(password).digest('hex'), inner),
    };
  },
};

export const bcryptFormats: readonly HashFormat[] = [plain, djangoSha256];
