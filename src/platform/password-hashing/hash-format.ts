/** A password hash of a form that this service can check. */
export interface KnownHash {
  /** The one spelling that it is kept in: what other systems write differently comes down to it. */
  stored: string;
  /** Why it costs too much to be taken from elsewhere; undefined where it does not. */
  excess: string | undefined;
  matches(password: string): Promise<boolean>;
}

export interface HashForm {
  pattern: RegExp;
  /** Of the pattern's groups; undefined where their values are none of this form. */
  read: (...groups: string[]) => KnownHash | undefined;
}

const maxMemoryBytes = 256 * 2 ** 20;
/** A second or two of a core. */
const maxWrittenBytes = 2 ** 30;

export const tooMuchWork = 'needs too much work at a login';

/** `written` is what is written to the memory in all, over passes and lanes. */
export function memoryExcess(bytes: number, written: number): string | undefined {
  if (bytes > maxMemoryBytes) return `needs more than ${maxMemoryBytes / 2 ** 20} MiB of memory at a login`;
  return written > maxWrittenBytes ? tooMuchWork : undefined;
}

/** How many bytes. A hash of fewer than 16 could be met by chance. */
export const [saltBytes, hashBytes] = [
  { least: 1, most: 128 },
  { least: 16, most: 128 },
];

/** The bytes of a text in base64, padded or not. Undefined where stray bits would give them a second spelling. */
export function fromBase64(text: string, { least, most }: { least: number; most: number }): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length < least || bytes.length > most) return undefined;
  return text === toBase64(bytes) || text === bytes.toString('base64') ? bytes : undefined;
}

/** Without padding, as PHC strings have it. */
export const toBase64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
