import { createCipheriv, scrypt, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { secretsEqual } from '../../lib/secrets.ts';
import {
  fromBase64,
  hashBytes,
  type HashForm,
  type KnownHash,
  memoryExcess,
  saltBytes,
  toBase64,
} from './hash-format.ts';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

interface Cost {
  /** The exponent of N. */
  ln: number;
  r: number;
  p: number;
}

const costOf = (ln: string | number, r: string, p: string): Cost => ({ ln: Number(ln), r: Number(r), p: Number(p) });

/** RFC 7914 section 2 has the bounds. */
const isCost = ({ ln, r, p }: Cost) =>
  Number.isInteger(ln) && ln >= 1 && ln <= 48 && ln < 16 * r && r >= 1 && p >= 1 && p * r < 2 ** 30;

const excessOf = ({ ln, r, p }: Cost) => memoryExcess(128 * r * (2 ** ln + p), 128 * r * 2 ** ln * p);

const deriveKey = (password: string, salt: Buffer, { ln, r, p }: Cost, bytes: number): Promise<Buffer> =>
  derive(password, salt, bytes, { N: 2 ** ln, r, p, maxmem: 128 * r * (2 ** ln + p + 2) + 4096 });

function readPlain(cost: Cost, salt: Buffer | undefined, hash: Buffer | undefined): KnownHash | undefined {
  if (!salt || !hash || !isCost(cost)) return undefined;
  const { ln, r, p } = cost;
  return {
    stored: `$scrypt$ln=${ln},r=${r},p=${p}$${toBase64(salt)}$${toBase64(hash)}`,
    excess: excessOf(cost),
    matches: async (password) => secretsEqual(await deriveKey(password, salt, cost, hash.length), hash),
  };
}

/** What libraries that follow PHC write, such as passlib. */
const phc: HashForm = {
  pattern: /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,10}),p=(\d{1,10})\$([^$]+)\$([^$]+)$/,
  read: (ln, r, p, salt, hash) => readPlain(costOf(ln, r, p), fromBase64(salt, saltBytes), fromBase64(hash, hashBytes)),
};

/** Django's: N itself, and a salt that is text. */
const django: HashForm = {
  pattern: /^scrypt\$(\d{1,10})\$([\x21-\x23\x25-\x7e]{1,128})\$(\d{1,10})\$(\d{1,10})\$([^$]+)$/,
  read: (n, salt, r, p, hash) =>
    readPlain(costOf(Math.log2(Number(n)), r, p), Buffer.from(salt), fromBase64(hash, hashBytes)),
};

/**
 * Firebase's: the key that scrypt derives encrypts the project's signer key, and that is the hash
 * (https://github.com/firebase/scrypt). Written as Supabase does, with the project's parameters in each hash.
 */
const firebase: HashForm = {
  pattern: /^\$fbscrypt\$v=1,n=(\d{1,2}),r=(\d{1,10}),p=(\d{1,10}),ss=([\w+/=]*),sk=([\w+/=]+)\$([^$]+)\$([^$]+)$/,
  read(n, r, p, separatorText, signerText, saltText, hashText) {
    const cost = costOf(n, r, p);
    const salt = fromBase64(saltText, saltBytes);
    const separator = fromBase64(separatorText, { ...saltBytes, least: 0 });
    const [signer, hash] = [fromBase64(signerText, hashBytes), fromBase64(hashText, hashBytes)];
    if (!salt || !separator || !signer || !hash || signer.length !== hash.length || !isCost(cost)) return undefined;
    const [ss, sk, own, value] = [separator, signer, salt, hash].map((bytes) => bytes.toString('base64'));
    return {
      stored: `$fbscrypt$v=1,n=${cost.ln},r=${cost.r},p=${cost.p},ss=${ss},sk=${sk}$${own}$${value}`,
      excess: excessOf(cost),
      async matches(password) {
        const key = await deriveKey(password, Buffer.concat([salt, separator]), cost, 32);
        const encrypted = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signer);
        return secretsEqual(encrypted, hash);
      },
    };
  },
};

export const scryptForms: readonly HashForm[] = [phc, django, firebase];
