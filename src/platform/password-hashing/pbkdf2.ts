import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { secretsEqual } from '../../lib/secrets.ts';
import {
  fromBase64,
  type HashFormat,
  hashLength,
  type ParsedHash,
  saltLength,
  toBase64,
  tooExpensive,
} from './hash-format.ts';

const derive = promisify(pbkdf2);

const digestBytes = { sha1: 20, sha256: 32, sha512: 64 } as const;
type Digest = keyof typeof digestBytes;

/** The maximum number of iterations times the digests that make up the hash: a few seconds of CPU time. */
const maxDigests = 6_000_000;

function parse(
  digest: string,
  iterationsText: string,
  salt: Buffer | undefined,
  hash: Buffer | undefined,
): ParsedHash | undefined {
  const iterations = Number(iterationsText);
  if (!salt || !hash || iterations < 1) return undefined;
  const digests = iterations * Math.ceil(hash.length / digestBytes[digest as Digest]);
  return {
    stored: `$pbkdf2-${digest}$i=${iterations}$${toBase64(salt)}$${toBase64(hash)}`,
    costError: digests > maxDigests ? tooExpensive : undefined,
    matches: async (password) => secretsEqual(await derive(password, salt, iterations, hash.length, digest), hash),
  };
}

/** A PHC string. The parameter `l`, the length of the hash, is redundant and ignored. */
const phc: HashFormat = {
  pattern: /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,10})(?:,l=\d{1,3})?\$([^$]+)\$([^$]+)$/,
  parse: (digest, iterations, salt, hash) =>
    parse(digest, iterations, fromBase64(salt, saltLength), fromBase64(hash, hashLength)),
};

/** The salt is text. */
const django: HashFormat = {
  pattern: /^pbkdf2_(sha1|sha256)\$(\d{1,10})\$([\x21-\x23\x25-\x7e]{1,128})\$([^$]+)$/,
  parse: (digest, iterations, salt, hash) => parse(digest, iterations, Buffer.from(salt), fromBase64(hash, hashLength)),
};

/** Base64 with `.` instead of `+`. Without a digest, it is SHA-1. */
const passlib: HashFormat = {
  pattern: /^\$pbkdf2(?:-(sha256|sha512))?\$(\d{1,10})\$([\w./]+)\$([\w./]+)$/,
  parse(digest = 'sha1', iterations, ...texts) {
    const [salt = '', hash = ''] = texts.map((text) => text.replaceAll('.', '+'));
    return parse(digest, iterations, fromBase64(salt, saltLength), fromBase64(hash, hashLength));
  },
};

/** Spring Security's hexadecimal salt and hash, with the parameters that `PasswordEncoderFactories` gives each id. */
const spring: HashFormat = {
  pattern: /^\{(?:pbkdf2\}([\da-fA-F]{80})|pbkdf2@SpringSecurity_v5_8\}([\da-fA-F]{96}))$/,
  parse(before58, since58) {
    const bytes = Buffer.from(before58 ?? since58 ?? '', 'hex');
    const [salt, hash] = [bytes.subarray(0, -32), bytes.subarray(-32)];
    return before58 === undefined ? parse('sha256', '310000', salt, hash) : parse('sha1', '185000', salt, hash);
  },
};

export const pbkdf2Formats: readonly HashFormat[] = [phc, django, passlib, spring];
