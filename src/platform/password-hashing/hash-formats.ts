import { argon2 } from './argon2.ts';
import { bcryptFormats } from './bcrypt.ts';
import type { HashFormat, ParsedHash } from './hash-format.ts';
import { pbkdf2Formats } from './pbkdf2.ts';
import { scryptFormats } from './scrypt.ts';

const maxCharacters = 1024;

const formats: readonly HashFormat[] = [argon2, ...bcryptFormats, ...scryptFormats, ...pbkdf2Formats];

/** Parses a password hash; undefined if its format is not supported. */
export function parseHash(text: string): ParsedHash | undefined {
  if (text.length > maxCharacters) return undefined;
  for (const { pattern, parse } of formats) {
    const match = pattern.exec(text);
    if (match) return parse(...match.slice(1));
  }
  return undefined;
}
