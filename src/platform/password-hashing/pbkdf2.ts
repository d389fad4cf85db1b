import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { secretsEqual } from '../../lib/secrets.ts';
import {
  fromBase64,
  hashBytes,
  type HashForm,
  type KnownHash,
  saltBytes,
  toBase64,
  tooMuchWork,
} from './hash-format.ts';

const derive = promisify(pbkdf2);

/** Bytes of a digest. */
const digestBytes = { sha1: 20, sha256: 32, sha512: 64 } as const;
type Digest = keyof typeof digestBytes;

/** Iterations, times the digests that make up the hash. Seconds of a core. */
const maxDigests = 6_000_000;

function read(
  digest: string,
  iterationsText: string,
  salt: Buffer | undefined,
  hash: Buffer | undefined,
): KnownHash | undefined {
  const iterations = Number(iterationsText);
  if (!salt || !hash || iterations < 1) return undefined;
  const digests = iterations * Math.ceil(hash.length / digestBytes[digest as Digest]);
  return {
    stored: `$pbkdf2-${digest}$i=${iterations}$${toBase64(salt)}$${toBase64(hash)}`,
    excess: digests > maxDigests ? tooMuchWork : undefined,
    matches: async (password) => secretsEqual(await derive(password, salt, iterations, hash.length, digest), hash),
  };
}

/** A PHC string; `l`, the length of the hash, is what the hash has. */
const phc: HashForm = {
  pattern: /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,10})(?:,l=\d{1,3})?\$([^$]+)\$([^$]+)$/,
  read: (digest, iterations, salt, hash) =>
    read(digest, iterations, fromBase64(salt, saltBytes), fromBase64(hash, hashBytes)),
};

/** Django's: the salt is text. */
const django: HashForm = {
  pattern: /^pbkdf2_(sha1|sha256)\$(\d{1,10})\$([\x21-\x23\x25-\x7e]{1,128})\$([^$]+)$/,
  read: (digest, iterations, salt, hash) => read(digest, iterations, Buffer.from(salt), fromBase64(hash, hashBytes)),
};

/** passlib's, whose base64 has a dot for the plus. */
const passlib: HashForm = {
  pattern: /^\$pbkdf2-(sha256|sha512)\$(\d{1,10})\$([\w./]+)\$([\w./]+)$/,
  read(digest, iterations, ...texts) {
    const [salt = '', hash = ''] = texts.map((text) => text.replaceAll('.', '+'));
    return read(digest, iterations, fromBase64(salt, saltBytes), fromBase64(hash, hashBytes));
  },
};

export const pbkdf2Forms: readonly HashForm[] = [phc, django, passlib];
