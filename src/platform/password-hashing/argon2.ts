import { verify } from '@node-rs/argon2';
import { fromBase64, type HashFormat, hashLength, memoryCostError, saltLength } from './hash-format.ts';

/**
 * A PHC string, which Django prefixes with `argon2`. The bounds are those of RFC 9106 section 3.1. Numbers have no leading zeros, because
 * the string is stored unchanged and the verifying library rejects them.
 */
export const argon2: HashFormat = {
  pattern:
    /^(?:argon2)?(\$argon2(?:id|i|d)\$v=(?:16|19)\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,7})\$([\w+/]+)\$([\w+/]+))$/,
  parse(stored, memoryKib, passes, lanes, salt, hash) {
    const [m, t, p] = [Number(memoryKib), Number(passes), Number(lanes)];
    const isValidCost = t >= 1 && t < 2 ** 32 && p >= 1 && p < 2 ** 24 && m >= 8 * p && m < 2 ** 32;
    if (!isValidCost || !fromBase64(salt, { ...saltLength, min: 8 }) || !fromBase64(hash, hashLength)) return undefined;
    return {
      stored,
      costError: memoryCostError(m * 1024, m * 1024 * t),
      matches: (password) => verify(stored, password),
    };
  },
};
