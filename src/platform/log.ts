import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

/** C0 and C1 controls and DEL: what a terminal may obey. JSON escapes only the first 32. */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/** A text that strangers chose, with nothing in it that a terminal or a line-based reader would obey. */
const printable = (text: string): string =>
  text.replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A fault of ours: its kind, sentence and stack, and nothing of what it carries besides. */
const serializeFault = (error: unknown) =>
  error instanceof Error
    ? { type: error.name, message: printable(error.message), stack: (error.stack ?? '').split('\n').map(printable) }
    : { type: typeof error };

/** One line a record for people: time, level, message, then the fields, then the stack of a fault. */
const prettyStdout: DestinationStream = {
  write(line) {
    const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const pairs = Object.entries(fields).map(([name, value]) => `${name}=${printable(String(value))}`);
    const message = typeof msg === 'string' ? [printable(msg)] : [];
    const { stack = [] } = (err ?? {}) as { stack?: string[] };
    const head = [String(time).slice(11, 23), String(level).toUpperCase(), ...message, ...pairs].join(' ');
    process.stdout.write([head, ...stack, ''].join('\n'));
  },
};

/**
 * JSON lines on stdout. What is logged is named field by field where it is logged: no header, body, query or URL is ever
 * passed here, so there is nothing to redact.
 */
export function makeLogger(options: { level: string; pretty: boolean }): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
    serializers: { err: serializeFault },
  };
  return options.pretty ? pino(settings, prettyStdout) : pino(settings);
}
