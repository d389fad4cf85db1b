import { createCipheriv, scrypt, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { secretsEqual } from '../../lib/secrets.ts';
import {
  fromBase64,
  type HashFormat,
  hashLength,
  memoryCostError,
  type ParsedHash,
  saltLength,
  toBase64,
} from './hash-format.ts';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

interface Cost {
  /** The binary logarithm of N. */
  ln: number;
  r: number;
  p: number;
}

const costOf = (ln: string | number, r: string, p: string): Cost => ({ ln: Number(ln), r: Number(r), p: Number(p) });

/** The bounds of RFC 7914 section 2. */
const isValidCost = ({ ln, r, p }: Cost) =>
  Number.isInteger(ln) && ln >= 1 && ln <= 48 && ln < 16 * r && r >= 1 && p >= 1 && p * r < 2 ** 30;

const costErrorOf = ({ ln, r, p }: Cost) => memoryCostError(128 * r * (2 ** ln + p), 128 * r * 2 ** ln * p);

const deriveKey = (password: string, salt: Buffer, { ln, r, p }: Cost, bytes: number): Promise<Buffer> =>
  derive(password, salt, bytes, { N: 2 ** ln, r, p, maxmem: 128 * r * (2 ** ln + p + 2) + 4096 });

function parsePlain(cost: Cost, salt: Buffer | undefined, hash: Buffer | undefined): ParsedHash | undefined {
  if (!salt || !hash || !isValidCost(cost)) return undefined;
  const { ln, r, p } = cost;
  return {
    stored: `$scrypt$ln=${ln},r=${r},p=${p}$${toBase64(salt)}$${toBase64(hash)}`,
    costError: costErrorOf(cost),
    matches: async (password) => secretsEqual(await deriveKey(password, salt, cost, hash.length), hash),
  };
}

/** A PHC string, as passlib and others write it. */
const phc: HashFormat = {
  pattern: /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,10}),p=(\d{1,10})\$([^$]+)\$([^$]+)$/,
  parse: (ln, r, p, salt, hash) =>
    parsePlain(costOf(ln, r, p), fromBase64(salt, saltLength), fromBase64(hash, hashLength)),
};

/** Contains N instead of its logarithm. The salt is text. */
const django: HashFormat = {
  pattern: /^scrypt\$(\d{1,10})\$([\x21-\x23\x25-\x7e]{1,128})\$(\d{1,10})\$(\d{1,10})\$([^$]+)$/,
  parse: (n, salt, r, p, hash) =>
    parsePlain(costOf(Math.log2(Number(n)), r, p), Buffer.from(salt), fromBase64(hash, hashLength)),
};

/** Spring Security's form. Its first part contains the parameters: 16 bits of the logarithm of N and 8 bits each of r and p. */
const spring: HashFormat = {
  pattern: /^\{scrypt(?:@\w+)?\}\$([\da-f]{5,8})\$([^$]+)\$([^$]+)$/,
  parse(parameters, salt, hash) {
    const [ln, r, p] = [parameters.slice(0, -4), parameters.slice(-4, -2), parameters.slice(-2)].map((hex) =>
      Number.parseInt(hex, 16),
    );
    const cost = { ln: ln ?? NaN, r: r ?? NaN, p: p ?? NaN };
    return parsePlain(cost, fromBase64(salt, saltLength), fromBase64(hash, hashLength));
  },
};

/**
 * Firebase encrypts the signer key of the project with the derived key; the ciphertext is the hash (https://github.com/firebase/scrypt).
 * The text has the format of Supabase, which contains the parameters of the project.
 */
const firebase: HashFormat = {
  pattern: /^\$fbscrypt\$v=1,n=(\d{1,2}),r=(\d{1,10}),p=(\d{1,10}),ss=([\w+/=]*),sk=([\w+/=]+)\$([^$]+)\$([^$]+)$/,
  parse(n, r, p, separatorText, signerText, saltText, hashText) {
    const cost = costOf(n, r, p);
    const salt = fromBase64(saltText, saltLength);
    const separator = fromBase64(separatorText, { ...saltLength, min: 0 });
    const [signer, hash] = [fromBase64(signerText, hashLength), fromBase64(hashText, hashLength)];
    if (!salt || !separator || !signer || !hash || signer.length !== hash.length || !isValidCost(cost))
      return undefined;
    const [ss, sk, ownSalt, value] = [separator, signer, salt, hash].map((bytes) => bytes.toString('base64'));
    return {
      stored: `$fbscrypt$v=1,n=${cost.ln},r=${cost.r},p=${cost.p},ss=${ss},sk=${sk}$${ownSalt}$${value}`,
      costError: costErrorOf(cost),
      async matches(password) {
        const key = await deriveKey(password, Buffer.concat([salt, separator]), cost, 32);
        const encrypted = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signer);
        return secretsEqual(encrypted, hash);
      },
    };
  },
};

export const scryptFormats: readonly HashFormat[] = [phc, django, spring, firebase];
