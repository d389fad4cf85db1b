import { createHash } from 'node:crypto';
import { verify } from '@node-rs/bcrypt';
import { type HashFormat, tooExpensive } from './hash-format.ts';

const maxCost = 15;

const costErrorOf = (cost: string) => (Number(cost) > maxCost ? tooExpensive : undefined);

/** The modular crypt format, which Django prefixes with `bcrypt$`. */
const plain: HashFormat = {
  pattern: /^(?:bcrypt\$)?(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53})$/,
  parse: (stored, cost) => ({
    stored,
    costError: costErrorOf(cost),
    matches: (password) => verify(password, stored),
  }),
};

/** Django's bcrypt of the hexadecimal SHA-256 of the password, which also covers the bytes after the 72nd. */
const djangoSha256: HashFormat = {
  pattern: /^(bcrypt_sha256\$(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53}))$/,
  parse: (stored, inner, cost) => ({
    stored,
    costError: costErrorOf(cost),
    matches: (password) => verify(createHash('sha256').update(password).digest('hex'), inner),
  }),
};

export const bcryptFormats: readonly HashFormat[] = [plain, djangoSha256];
