import { createHash } from 'node:crypto';
import { verify as argon2Verify } from '@node-rs/argon2';
import { verify as bcryptVerify } from '@node-rs/bcrypt';
import {
  fromBase64,
  hashBytes,
  type HashForm,
  type KnownHash,
  memoryExcess,
  saltBytes,
  tooMuchWork,
} from './hash-format.ts';
import { pbkdf2Forms } from './pbkdf2.ts';
import { scryptForms } from './scrypt.ts';

const maxCharacters = 1024;
const maxBcryptCost = 15;

/**
 * A PHC string; Django puts `argon2` before it. RFC 9106 section 3.1 has the bounds. It is kept as it is, and what reads it
 * at a login takes no leading zero.
 */
const argon2: HashForm = {
  pattern:
    /^(?:argon2)?(\$argon2(?:id|i|d)\$v=(?:16|19)\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,7})\$([\w+/]+)\$([\w+/]+))$/,
  read(stored, memoryKib, passes, lanes, salt, hash) {
    const [m, t, p] = [Number(memoryKib), Number(passes), Number(lanes)];
    const isCost = t >= 1 && t < 2 ** 32 && p >= 1 && p < 2 ** 24 && m >= 8 * p && m < 2 ** 32;
    if (!isCost || !fromBase64(salt, { ...saltBytes, least: 8 }) || !fromBase64(hash, hashBytes)) return undefined;
    return {
      stored,
      excess: memoryExcess(m * 1024, m * 1024 * t),
      matches: (password) => argon2Verify(stored, password),
    };
  },
};

const bcryptExcess = (cost: string) => (Number(cost) > maxBcryptCost ? tooMuchWork : undefined);

/** Django puts `bcrypt$` before it. */
const bcrypt: HashForm = {
  pattern: /^(?:bcrypt\$)?(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53})$/,
  read: (stored, cost) => ({
    stored,
    excess: bcryptExcess(cost),
    matches: (password) => bcryptVerify(password, stored),
  }),
};

/** Django's, which loses no byte beyond the 72nd: bcrypt of the password's SHA-256 in hexadecimal. */
const bcryptSha256: HashForm = {
  pattern: /^(bcrypt_sha256\$(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53}))$/,
  read: (stored, inner, cost) => ({
    stored,
    excess: bcryptExcess(cost),
    matches: (password) => bcryptVerify(createHash('sha256').update(password).digest('hex'), inner),
  }),
};

const forms: readonly HashForm[] = [argon2, bcrypt, bcryptSha256, ...scryptForms, ...pbkdf2Forms];

/** What a text is as a password hash; undefined where it is none of a form that is known. */
export function readHash(text: string): KnownHash | undefined {
  if (text.length > maxCharacters) return undefined;
  for (const { pattern, read } of forms) {
    const match = pattern.exec(text);
    if (match) return read(...match.slice(1));
  }
  return undefined;
}
