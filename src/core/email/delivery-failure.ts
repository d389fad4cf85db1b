import { EmailDeliveryError } from '../../platform/mailer.ts';

/** Tells a fault without what its message may quote: addresses, names, rows of the database. */
export function faultOf(cause: unknown): { fault: string; frames?: string[] } {
  if (cause instanceof EmailDeliveryError) return { fault: cause.message };
  const { name, code, stack } = cause as { name?: unknown; code?: unknown; stack?: unknown };
  const words = [name, code].filter((word) => typeof word === 'string' && /^\w{1,60}$/.test(word));
  const frames = String(stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim());
  return { fault: `a fault of ours: ${words.join(' ') || 'unknown'}`, frames };
}
