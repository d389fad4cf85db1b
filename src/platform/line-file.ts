import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StartupError } from '../lib/errors.ts';

/** Longer lines are skipped without being kept in memory. */
const maxLineBytes = 64 * 1024;
const chunkBytes = 256 * 1024;
const [lineFeed, carriageReturn] = [0x0a, 0x0d];
const byteOrderMark = Buffer.from('\ufeff');

export interface Line {
  /** Starts at 1. */
  number: number;
  /** Without the line break; undefined if the line is too long. Valid until the next line is read. */
  bytes: Buffer | undefined;
  /** The offset of the next line. */
  end: number;
}

/** A position between two lines. */
export interface LinePosition {
  /** The offset of the next line. */
  nextByte: number;
  /** The number of lines before it. */
  lines: number;
}

/** A text file that is read line by line, from any line, and that must not change while it is read. */
export interface LineFile {
  size: number;
  sha256: Uint8Array<ArrayBuffer>;
  linesFrom(position: LinePosition): AsyncGenerator<Line>;
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

/** @throws StartupError if the file cannot be read, is not a regular file, or is not UTF-8 */
export async function openLineFile(path: string): Promise<LineFile> {
  // O_NONBLOCK, because opening a pipe waits for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new StartupError(`Cannot read ${path}: ${cause.code ?? cause.message}.`, { cause });
  });
  const stateOf = async () => {
    const { size, mtimeNs } = await file.stat({ bigint: true });
    return `${size} ${mtimeNs}`;
  };
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    throw new StartupError(
      `${path} is not a regular file. Write the data to a file, so that the import can be resumed.`,
    );
  }
  if (await isUtf16(file)) {
    await file.close();
    throw new StartupError(`${path} is UTF-16. Convert it to UTF-8, for example with: iconv -f UTF-16 -t UTF-8`);
  }
  const initialState = await stateOf();
  return {
    size: stats.size,
    sha256: await digestOf(file),
    linesFrom: (position) => linesOf(file, position),
    isUnchanged: async () => (await stateOf()) === initialState,
    close: () => file.close(),
  };
}

/** Whether the file starts with a byte order mark of UTF-16, which `>` writes in Windows PowerShell, or an ASCII character in UTF-16. */
async function isUtf16(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
  const start = buffer.toString('hex', 0, bytesRead);
  return /^(fffe|feff|..00|00..)$/.test(start);
}

async function digestOf(file: FileHandle): Promise<Uint8Array<ArrayBuffer>> {
  const digest = createHash('sha256');
  for await (const chunk of chunksOf(file, 0)) digest.update(chunk);
  return new Uint8Array(digest.digest());
}

/** Reuses one buffer, so that memory does not grow with the file. */
async function* chunksOf(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let position = from; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Joins the parts of lines that span chunks. Drops the parts of a line that is too long. */
function makeJoiner() {
  let parts: Buffer[] = [];
  let length = 0;
  return {
    add(part: Buffer) {
      length += part.length;
      if (length > maxLineBytes) parts = [];
      else if (part.length > 0) parts.push(Buffer.from(part));
    },
    isEmpty: () => length === 0,
    finish(last: Buffer): Buffer | undefined {
      const isTooLong = length + last.length > maxLineBytes;
      const whole = parts.length > 0 ? Buffer.concat([...parts, last]) : last;
      [parts, length] = [[], 0];
      return isTooLong ? undefined : whole;
    },
  };
}

async function* linesOf(file: FileHandle, { nextByte, lines }: LinePosition): AsyncGenerator<Line> {
  const joiner = makeJoiner();
  let [number, position] = [lines, nextByte];
  const lineOf = (last: Buffer, end: number): Line => {
    const bytes = joiner.finish(last);
    number += 1;
    return { number, bytes: bytes && contentOf(bytes, number), end };
  };
  for await (const chunk of chunksOf(file, nextByte)) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      yield lineOf(chunk.subarray(start, end), position + end + 1);
      start = end + 1;
    }
    joiner.add(chunk.subarray(start));
    position += chunk.length;
  }
  if (!joiner.isEmpty()) yield lineOf(Buffer.alloc(0), position);
}

/** Removes a carriage return at the end and, from the first line, a byte order mark. Windows editors write both. */
function contentOf(bytes: Buffer, number: number): Buffer {
  const hasMark = number === 1 && bytes.subarray(0, byteOrderMark.length).equals(byteOrderMark);
  return bytes.subarray(hasMark ? byteOrderMark.length : 0, bytes.at(-1) === carriageReturn ? -1 : undefined);
}
