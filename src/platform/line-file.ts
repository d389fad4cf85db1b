import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StartupError } from '../lib/errors.ts';

/** Longer ones are passed over without being kept. */
export const maxLineBytes = 64 * 1024;
const chunkBytes = 256 * 1024;
const [lineFeed, carriageReturn] = [0x0a, 0x0d];
const byteOrderMark = Buffer.from('\ufeff');

export interface Line {
  /** From 1. */
  number: number;
  /** Without its line break; undefined where it is too long. Good until the next line is asked for. */
  bytes: Buffer | undefined;
  /** Where the next line begins, in bytes from the start of the file. */
  end: number;
}

/** Where to go on: so many lines are behind, and the next one begins at that byte. */
export interface Place {
  nextByte: number;
  lines: number;
}

/** A text file that is read line by line, from any line on, and that must not change meanwhile. */
export interface LineFile {
  size: number;
  sha256: Buffer;
  linesFrom(place: Place): AsyncGenerator<Line>;
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

/** @throws StartRefused where it is no file that can be read */
export async function openLineFile(path: string): Promise<LineFile> {
  // Not to wait for a writer, where it is a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new StartupError(`${path} cannot be read: ${cause.code ?? cause.message}`, { cause });
  });
  const state = async () => {
    const { size, mtimeNs } = await file.stat({ bigint: true });
    return `${size} ${mtimeNs}`;
  };
  const opened = await file.stat();
  if (!opened.isFile()) {
    await file.close();
    throw new StartupError(`${path} is no file: an import that can be resumed needs one, and no pipe.`);
  }
  const before = await state();
  return {
    size: opened.size,
    sha256: await digestOf(file),
    linesFrom: (place) => linesOf(file, place),
    isUnchanged: async () => (await state()) === before,
    close: () => file.close(),
  };
}

async function digestOf(file: FileHandle): Promise<Buffer> {
  const digest = createHash('sha256');
  for await (const chunk of chunksOf(file, 0)) digest.update(chunk);
  return digest.digest();
}

/** One buffer for all, so that memory does not grow with the file. */
async function* chunksOf(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let position = from; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Joins the parts of a line that chunks cut, as long as it is not too long. */
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

async function* linesOf(file: FileHandle, { nextByte, lines }: Place): AsyncGenerator<Line> {
  const joiner = makeJoiner();
  let [number, position] = [lines, nextByte];
  const lineOf = (last: Buffer, end: number): Line => {
    const bytes = joiner.finish(last);
    number += 1;
    return { number, bytes: bytes && textOf(bytes, number), end };
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

/** Without the carriage return of Windows, and the mark that its editors put before the first line. */
function textOf(bytes: Buffer, number: number): Buffer {
  const start =
    number === 1 && bytes.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0;
  return bytes.subarray(start, bytes.at(-1) === carriageReturn ? -1 : undefined);
}
