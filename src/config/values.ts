// Types of environment variables: zod schemas that parse text. An error message completes the sentence "NAME must be…".
import { z } from 'zod';
import { isLoopback, isNetwork, isOrigin } from '../lib/network.ts';
import { fromBase64Url } from '../lib/secrets.ts';
import type { Mailbox } from '../platform/mailer.ts';
import { ConnectionUrlError, parseConnectionUrl } from '../platform/postgres/connection.ts';

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `10s`, `15m`, `12h`, `30d` or `0` to seconds; undefined for other text. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = unitSeconds[match?.[2] ?? ''];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}

export const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .default(String(fallback))
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    })
    .transform(Number);

export const choice = <const Name extends string>(...names: Name[]) =>
  z.enum(names, { error: `must be one of ${names.join(', ')}` });

export const duration = (fallback: string, min: string, max: string) => {
  const [low, high] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  return z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const seconds = parseDuration(text);
      if (seconds !== undefined && seconds >= low && seconds <= high) return seconds;
      context.addIssue({ code: 'custom', message: `must be a duration such as ${fallback}, from ${min} to ${max}` });
      return z.NEVER;
    });
};

/** A duration; undefined for `off`. */
export const durationOrOff = (fallback: string, min: string, max: string) =>
  z.union([z.literal('off').transform(() => undefined), duration(fallback, min, max)], {
    error: `must be off or a duration such as ${fallback}, from ${min} to ${max}`,
  });

/** A maximum number per time window: `20/15m`. */
export const rate = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const [, count, window] = /^([1-9]\d{0,8})\/(\w+)$/.exec(text) ?? [];
      const windowSeconds = parseDuration(window ?? '') ?? 0;
      if (windowSeconds >= 1 && windowSeconds <= 86_400) return { count: Number(count), windowSeconds };
      context.addIssue({ code: 'custom', message: `must be a number and a window of 1s to 1d, such as ${fallback}` });
      return z.NEVER;
    });

const namesOf = (text: string): string[] => text.split(',').map((name) => name.trim());

/** Origins exactly as browsers send them in `Origin` (RFC 6454 section 6.2). `anyHttp`: not only those of this machine. */
export const origins = ({ anyHttp }: { anyHttp: boolean }) =>
  z
    .string()
    .transform(namesOf)
    .refine((list) => list.every(isOrigin), {
      error:
        'must be lowercase origins without a path, such as https://app.example.com or capacitor://localhost, separated by commas',
      abort: true,
    })
    .refine((list) => anyHttp || !list.some((each) => each.startsWith('http:') && !isLoopback(each)), {
      error:
        'must be https origins in production, except on localhost, because anyone on the network can change http pages',
    });

/** Names of request headers (RFC 9110 section 5.1). */
export const headerNames = z
  .string()
  .transform(namesOf)
  .refine((list) => list.every((name) => /^[\w!#$%&'+.^`|~-]+$/.test(name)), {
    error: 'must be names of headers, such as X-Tenant-Id, separated by commas',
  });

export const url = (description: string, ...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `must be ${description}`,
  });

const canBeDecoded = (text: string): boolean => {
  try {
    return typeof decodeURIComponent(text) === 'string';
  } catch {
    return false;
  }
};

/** The Redis client throws for a database that is not a number and for credentials that cannot be decoded. */
const isValidRedisUrl = (text: string) => {
  if (!URL.canParse(text)) return false;
  const { pathname, username, password } = new URL(text);
  return /^\/?\d*$/.test(pathname) && canBeDecoded(username) && canBeDecoded(password);
};

export const redisUrl = url('a URL that starts with redis:// or rediss://', 'redis:', 'rediss:').refine(
  isValidRedisUrl,
  { error: 'must be a URL whose path is a database number, with percent-encoded credentials' },
);

const isValidSmtpUrl = (text: string) => {
  if (!URL.canParse(text)) return false;
  const { hostname, pathname, search, hash, username, password } = new URL(text);
  return (
    hostname !== '' &&
    /^\/?$/.test(pathname) &&
    search + hash === '' &&
    canBeDecoded(username) &&
    canBeDecoded(password)
  );
};

export const smtpUrl = url('a URL that starts with smtp:// or smtps://', 'smtp:', 'smtps:').refine(isValidSmtpUrl, {
  error: 'must be a URL with a host, percent-encoded credentials and no path, query or fragment',
});

/** An address, or a name and an address in angle brackets. Names that RFC 5322 would require to be quoted are not supported. */
const mailboxPattern =
  /^(?:(?<name>[^\p{Cc}<>"(),:;@[\]\\]*[^\p{Cc}\s<>"(),:;@[\]\\]) *<(?<inBrackets>[^<>]+)>|(?<bare>[^<>]+))$/u;
const addressPattern = /^(?=.{1,64}@)[\w!#$%&'*+/=?^`{|}~.-]+@[a-z\d]([a-z\d.-]{0,251}[a-z\d])?$/i;

export const mailbox = z.string().transform((text, context): Mailbox => {
  const { name = '', inBrackets, bare } = mailboxPattern.exec(text.trim())?.groups ?? {};
  const address = inBrackets ?? bare ?? '';
  if (addressPattern.test(address)) return { name, address };
  context.addIssue({
    code: 'custom',
    message: 'must be an email address, or a name and an email address: Keyturn <no-reply@example.com>',
  });
  return z.NEVER;
});

export const postgresUrl = url('a URL that starts with postgresql://', 'postgresql:', 'postgres:').superRefine(
  (text, context) => {
    if (!URL.canParse(text)) return;
    try {
      parseConnectionUrl(text);
    } catch (error) {
      if (!(error instanceof ConnectionUrlError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  },
);

/** A URL to which paths are appended. RFC 8414 section 2 requires this form of an issuer. */
export const plainUrl = url('an http or https URL', 'https:', 'http:').refine((text) => !/[?#@\s]/.test(text), {
  error: 'must be without query, fragment, user and white space',
});

export const audience = z.string().refine((text) => text.split(',').every((name) => name.trim() !== ''), {
  error: 'must be one or more names, separated by commas',
});

export const masterKeys = z
  .string()
  .transform((text) => text.split(',').map((key) => fromBase64Url(key.trim())))
  .refine((keys) => keys.every((key) => key?.length === 32), {
    error: 'must be one or more keys of 32 bytes each in base64url, separated by commas',
  })
  .transform((keys) => keys.filter((key) => key !== undefined));

/** Whether a key can be random: 32 random bytes have about 30 different values, and practically never fewer than 16. */
export const isRandom = (key: Uint8Array): boolean => new Set(key).size >= 16;

export const trustProxy = z.string().transform((text, context): false | number | string[] => {
  if (text === 'off') return false;
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  const networks = text.split(',').map((network) => network.trim());
  if (networks.every(isNetwork)) return networks;
  context.addIssue({
    code: 'custom',
    message: 'must be off, a number of hops from 1 to 99, or a list of IP addresses or CIDRs',
  });
  return z.NEVER;
});
