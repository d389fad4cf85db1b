// Reads exports and writes the file for `users import`. Reports and messages never quote a record: it contains a hash.
import { createReadStream, createWriteStream } from 'node:fs';
import { appendFile, lstat, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import chain from 'stream-chain';
import { pick } from 'stream-json/filters/pick.js';
import { parser } from 'stream-json/parser.js';
import { streamArray } from 'stream-json/streamers/stream-array.js';
import { verifier } from 'stream-json/utils/verifier.js';
import { z } from 'zod';

/** Stops the conversion. No output is written. */
export class FatalError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Skips one record. */
export class RecordError extends Error {}

const notATime = 'is not a time';

/** Milliseconds since 1970, as a number or as digits; parsed to an RFC 3339 time. */
export const Milliseconds = z
  .union([z.number().min(0, notATime).max(8.64e15, notATime), z.string().regex(/^\d{1,15}$/, notATime)], notATime)
  .transform((ms) => new Date(Number(ms)).toISOString());

/** The encoding of a text that starts with a byte order mark or with an ASCII character. */
function encodingOf(bytes) {
  const start = bytes.toString('hex', 0, 2);
  if (/^(fffe|(?!00)..00)$/.test(start)) return 'utf-16le';
  return /^(feff|00(?!00)..)$/.test(start) ? 'utf-16be' : 'utf-8';
}

/** Yields the text of a file in UTF-8 or UTF-16. */
export async function* readText(path) {
  const badEncoding = () => new FatalError(`${path} is not text in UTF-8 or UTF-16.`);
  let decoder;
  try {
    for await (const bytes of createReadStream(path)) {
      decoder ??= new TextDecoder(encodingOf(bytes), { fatal: true });
      const text = decoder.decode(bytes, { stream: true });
      // JSON contains no NUL characters. Another encoding does, although its bytes are valid here.
      if (text.includes('\0')) throw badEncoding();
      yield text;
    }
    if (decoder) yield decoder.decode();
  } catch (error) {
    if (error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw badEncoding();
    if (error.syscall) throw new FatalError(`${path} cannot be read: ${error.code}.`);
    throw error;
  }
}

/**
 * Converts the records of a file one by one, so that memory use does not grow with the file. The file contains a JSON
 * array, one JSON object per line, or, if `member` is given, an object whose member of that name is the array.
 * Yields `{ value }` for each converted record and `{ skipped }` for each other record.
 */
export async function* convertRecords(path, { member, schema, convert }) {
  for await (const record of readRecords(path, member)) {
    const { value, reasons } = tryConvert(() => convert(schema.parse(record.read())));
    yield reasons ? { skipped: { file: path, ...record.position, reasons } } : { value };
  }
}

function tryConvert(convert) {
  try {
    return { value: convert() };
  } catch (error) {
    if (error instanceof RecordError) return { reasons: [error.message] };
    if (!(error instanceof z.ZodError)) throw error;
    return { reasons: error.issues.map((issue) => `${issue.path.join('.') || 'record'}: ${issue.message}`) };
  }
}

async function* readRecords(path, member) {
  const chunks = readText(path);
  let start = '';
  while (start.trim() === '') {
    const { value, done } = await chunks.next();
    if (done) throw new FatalError(`${path} is empty.`);
    start += value;
  }
  async function* text() {
    yield start;
    yield* chunks;
  }
  const first = start.trimStart()[0];
  if (first === (member === undefined ? '[' : '{')) yield* readArray(path, text(), member);
  else if (member === undefined && first === '{') yield* readLines(path, text());
  else throw new FatalError(`${path} does not contain ${member ? `an object with "${member}"` : 'JSON objects'}.`);
}

async function* readArray(path, text, member) {
  let isFound = member === undefined;
  const isMember = (keys, token) => {
    const isWanted = keys.length === 1 && keys[0] === member && token.name === 'startArray';
    isFound ||= isWanted;
    return isWanted;
  };
  const picked = member === undefined ? [] : [pick({ filter: isMember })];
  const stages = [Readable.from(text), parser({ streamValues: false }), ...picked, streamArray()];
  try {
    for await (const { key, value } of chain(stages)) yield { position: { record: key + 1 }, read: () => value };
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`${path} ${await describeJsonError(path, error)}.`);
  }
  if (!isFound) throw new FatalError(`${path} does not contain the array "${member}".`);
}

/** Reads the file again, because the parser does not report a position. */
async function describeJsonError(path, { message }) {
  try {
    await chain([Readable.from(readText(path)), verifier()]).toArray();
  } catch ({ line, pos }) {
    if (line) return `is cut off or is not valid JSON at line ${line}, column ${pos}`;
  }
  return `cannot be read as JSON: ${message}`;
}

/** Replaces CR and CR LF, also if they span two chunks, by LF. */
async function* normalizeLineBreaks(text) {
  let endsWithCr = false;
  for await (const chunk of text) {
    const rest = endsWithCr && chunk.startsWith('\n') ? chunk.slice(1) : chunk;
    endsWithCr = chunk.endsWith('\r');
    yield rest.replaceAll(/\r\n?/g, '\n');
  }
}

async function* readLines(path, text) {
  let [line, rest] = [1, ''];
  for await (const chunk of normalizeLineBreaks(text)) {
    const [end, ...others] = chunk.split('\n');
    rest += end;
    for (const next of others) {
      if (rest.trim() !== '') yield jsonLine(line, rest);
      [line, rest] = [line + 1, next];
    }
  }
  if (rest.trim() === '') return;
  // Without a line break at its end, the last line can be the first part of a record.
  const { reasons } = tryConvert(() => parseJson(rest));
  if (reasons) throw new FatalError(`${path} is cut off or is not valid JSON at line ${line}.`);
  yield jsonLine(line, rest);
}

const jsonLine = (line, text) => ({ position: { line }, read: () => parseJson(text) });

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new RecordError('is not valid JSON');
  }
}

/** Writes the converted users, and next to them the report of the skipped records. */
async function writeOutput(path, results) {
  const report = `${path}.skipped.ndjson`;
  const [partialOutput, partialReport] = [`${path}.partial`, `${report}.partial`];
  const removePartial = () => Promise.all([partialOutput, partialReport].map((file) => rm(file, { force: true })));
  const counts = { converted: 0, skipped: 0 };
  async function* lines() {
    for await (const { value, skipped } of results) {
      counts[skipped ? 'skipped' : 'converted'] += 1;
      if (!skipped) yield userLine(value);
      else {
        process.stderr.write(`${describeSkipped(skipped)}\n`);
        await appendFile(partialReport, `${JSON.stringify(skipped)}\n`, { mode: 0o600 });
      }
    }
  }
  try {
    await removePartial();
    await pipeline(lines, createWriteStream(partialOutput, { flags: 'wx', mode: 0o600, flush: true }));
    // Writes the report first, so that a complete output always has its report.
    if (counts.skipped > 0) await rename(partialReport, report);
    else await rm(report, { force: true });
    await rename(partialOutput, path);
  } catch (error) {
    throw error.syscall ? new FatalError(`${path} cannot be written: ${error.code}.`) : error;
  } finally {
    await removePartial();
  }
  return { ...counts, report };
}

const describeSkipped = ({ file, line, record, reasons }) =>
  `${file}, ${line ? `line ${line}` : `record ${record}`}: ${reasons.join('; ')}`;

/** Without a name, the display name is the part of the address before the `@`. */
const userLine = (user) =>
  `${JSON.stringify({ ...user, display_name: user.display_name?.trim() || user.email?.split('@')[0] })}\n`;

async function parseArguments(usage, [min, max]) {
  const options = { output: { type: 'string', short: 'o' } };
  const { values, positionals: inputs } = parseArgs({ options, allowPositionals: true, strict: false });
  const { output, ...unknown } = values;
  const isValid = typeof output === 'string' && inputs.length >= min && inputs.length <= max;
  if (!isValid || Object.keys(unknown).length > 0)
    throw new FatalError(`Usage: node examples/migrate/${usage} --output users.ndjson`, 2);
  if (inputs.some((input) => resolve(input) === resolve(output)))
    throw new FatalError(`${output} is also an input. Choose another name for the output.`, 2);
  const existing = await lstat(output).catch(() => undefined);
  if (existing && !existing.isFile()) throw new FatalError(`${output} exists and is not a regular file.`, 2);
  return { output, inputs };
}

/**
 * Runs a converter on the command line. `files` is the minimum and maximum number of input files. `convert` receives
 * their paths and yields what `convertRecords` yields. Exits with 0 if every record was converted, 1 if the conversion
 * failed and wrote no output, 2 if the arguments are wrong, and 3 if records were skipped.
 */
export async function runConverter({ usage, files, convert }) {
  try {
    const { output, inputs } = await parseArguments(usage, files);
    const { converted, skipped, report } = await writeOutput(output, convert(inputs));
    process.stdout.write(`${converted} converted, ${skipped} skipped.${skipped > 0 ? ` See ${report}.` : ''}\n`);
    process.exitCode = skipped > 0 ? 3 : 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}
