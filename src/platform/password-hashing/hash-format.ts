// The parts that all password hash formats share.

/** A password hash in a supported format. */
export interface ParsedHash {
  /** The normalized text, which is stored. Other systems write the same hash in several ways. */
  stored: string;
  /** Why the hash is too expensive to import; undefined if it is not. */
  costError: string | undefined;
  matches(password: string): Promise<boolean>;
}

export interface HashFormat {
  pattern: RegExp;
  /** Parses the groups of the pattern; undefined if a value is invalid. */
  parse: (...groups: string[]) => ParsedHash | undefined;
}

const maxMemoryBytes = 256 * 2 ** 20;
/** About one or two seconds of CPU time. */
const maxMemoryWriteBytes = 2 ** 30;

export const tooExpensive = 'is too expensive to verify at a login';

/** Why a memory-hard hash is too expensive. `writtenBytes` is the total of all passes and lanes. */
export function memoryCostError(memoryBytes: number, writtenBytes: number): string | undefined {
  if (memoryBytes > maxMemoryBytes) return `requires more than ${maxMemoryBytes / 2 ** 20} MiB of memory at a login`;
  return writtenBytes > maxMemoryWriteBytes ? tooExpensive : undefined;
}

/** Valid lengths in bytes. A hash shorter than 16 bytes can collide by chance. */
export const saltLength = { min: 1, max: 128 };
export const hashLength = { min: 16, max: 128 };

/** Decodes base64 with or without padding; undefined for other lengths, and for stray bits, because they allow a second spelling. */
export function fromBase64(text: string, { min, max }: { min: number; max: number }): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length < min || bytes.length > max) return undefined;
  return text === toBase64(bytes) || text === bytes.toString('base64') ? bytes : undefined;
}

/** Encodes base64 without padding, as in PHC strings. */
export const toBase64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
