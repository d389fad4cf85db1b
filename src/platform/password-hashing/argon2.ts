import { verify } from '@node-rs/argon2';
import { fromBase64, type HashFormat, hashLength, memoryCostError, saltLength, toBase64 } from './hash-format.ts';

/** Django's prefix. It distinguishes the hash of another system from a hash of this service, which can have the same parameters. */
const importedPrefix = 'argon2';

/**
 * A PHC string, which Django prefixes with `argon2` and Spring Security with an id in braces. The bounds are those of RFC 9106 section
 * 3.1. A string without a version is of version 16, the first one. Numbers have no leading zeros, as in the PHC specification.
 */
export const argon2: HashFormat = {
  pattern:
    /^(?:argon2|\{argon2(?:@\w+)?\})?\$argon2(id|i|d)(?:\$v=(16|19))?\$([mtp]=[1-9]\d{0,9}),([mtp]=[1-9]\d{0,9}),([mtp]=[1-9]\d{0,9})\$([^$]+)\$([^$]+)$/,
  parse(variant, version = '16', ...rest) {
    const [saltText = '', hashText = ''] = rest.slice(3);
    const parameters = new Map(rest.slice(0, 3).map((text) => [text[0], Number(text.slice(2))]));
    const [m = NaN, t = NaN, p = NaN] = ['m', 't', 'p'].map((name) => parameters.get(name));
    const [salt, hash] = [fromBase64(saltText, { ...saltLength, min: 8 }), fromBase64(hashText, hashLength)];
    const isValidCost = t >= 1 && t < 2 ** 32 && p >= 1 && p < 2 ** 24 && m >= 8 * p && m < 2 ** 32;
    if (!isValidCost || !salt || !hash) return undefined;
    const phc = `$argon2${variant}$v=${version}$m=${m},t=${t},p=${p}$${toBase64(salt)}$${toBase64(hash)}`;
    return {
      stored: importedPrefix + phc,
      costError: memoryCostError(m * 1024, m * 1024 * t),
      matches: (password) => verify(phc, password),
    };
  },
};
