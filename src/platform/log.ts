import { type DestinationStream, type Logger, pino } from 'pino';
import { stdout } from './line-writer.ts';

export type { Logger };

/** C0 and C1 controls and DEL, which terminals may interpret. JSON escapes only the first 32. */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/** Escapes control characters in text from clients, so that it cannot control a terminal or forge log lines. */
const printable = (text: string): string =>
  text.replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Logs the type, message and stack of an error and none of its other properties, which may contain secrets. */
const serializeError = (error: unknown) =>
  error instanceof Error
    ? { type: error.name, message: printable(error.message), stack: (error.stack ?? '').split('\n').map(printable) }
    : { type: typeof error };

/** Writes one line per record for people: time, level, message and fields, followed by the stack of an error. */
const prettyStdout: DestinationStream = {
  write(line) {
    const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const pairs = Object.entries(fields).map(([name, value]) => `${name}=${printable(String(value))}`);
    const message = typeof msg === 'string' ? [printable(msg)] : [];
    const { stack = [] } = (err ?? {}) as { stack?: string[] };
    const head = [String(time).slice(11, 23), String(level).toUpperCase(), ...message, ...pairs].join(' ');
    stdout.write([head, ...stack, ''].join('\n'));
  },
};

/**
 * Writes JSON lines to stdout. Callers name each field that they log and never pass headers, bodies, queries or URLs, so nothing has to
 * be redacted.
 */
export function makeLogger({ level, pretty }: { level: string; pretty: boolean }): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
  };
  const log = pino(options, pretty ? prettyStdout : stdout);
  if (level !== 'silent')
    stdout.onRecovered = (lines) =>
      log.warn({ lines }, 'log lines were dropped while the standard output was full or blocked');
  return log;
}
