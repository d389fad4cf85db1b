import { z } from 'zod';
import { fieldErrorsOf } from '../../lib/field-errors.ts';
import { readHash } from '../../platform/password-hashing/hash-formats.ts';
import { EmailAddress } from '../users/email-address.ts';
import { DisplayName } from '../users/user.ts';

/** What is kept for an account that has no password yet: the hash of none. */
export const noPassword = '!';

export interface ImportedUser {
  email: EmailAddress;
  displayName: string;
  emailVerified: boolean;
  isActive: boolean;
  roles: string[];
  passwordHash: string;
  /** Undefined: now. */
  createdAt: string | undefined;
}

/** What a line is: an account, nothing at all, or wrong for these reasons. None repeats what stands in it. */
export type ReadLine = (bytes: Buffer | undefined) => { user: ImportedUser } | { reasons: string[] } | undefined;

function fail(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** An empty hash is taken like null, because exports write accounts without a password either way. */
const PasswordHash = z.string().transform((text, context) => {
  if (text === '') return null;
  const known = readHash(text);
  if (known && !known.excess) return known.stored;
  return fail(context, known?.excess ?? 'must be a hash of a form that is known: Argon2, bcrypt, scrypt or PBKDF2');
});

const Time = z.iso.datetime({ offset: true });
const timeRule = 'must be a time of RFC 3339 from 1970 until now, such as 2026-11-22T09:00:00Z';

/** To the millisecond, in UTC. */
function timeOf(text: string, nowMs: number): string | undefined {
  const ms = Time.safeParse(text).success ? Date.parse(text) : NaN;
  return ms >= 0 && ms <= nowMs ? new Date(ms).toISOString() : undefined;
}

const makeSchema = (knownRoles: ReadonlySet<string>, nowMs: number) =>
  z.strictObject({
    email: EmailAddress,
    display_name: DisplayName,
    email_verified: z.boolean().default(false),
    is_active: z.boolean().default(true),
    roles: z
      .array(z.string().refine((role) => knownRoles.has(role), { error: 'must be a role that is there' }))
      .min(1, { error: 'must name at least one role' })
      .max(100)
      .default(['user'])
      .transform((roles) => [...new Set(roles)]),
    password_hash: PasswordHash.nullish(),
    created_at: z
      .string()
      .transform((text, context) => timeOf(text, nowMs) ?? fail(context, timeRule))
      .optional(),
  });

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The parser's own message would quote the line, and with it the hash. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A reason repeats the names of members, and those may be no text that Postgres can store. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

/** Reads lines of a file of accounts; `nowMs` is the latest time at which one can have been made. */
export function makeReadLine(knownRoles: ReadonlySet<string>, nowMs: number): ReadLine {
  const schema = makeSchema(knownRoles, nowMs);
  return (bytes) => {
    if (!bytes) return { reasons: ['the line is longer than 64 KiB'] };
    const text = textOf(bytes);
    if (text === undefined) return { reasons: ['the line is not UTF-8'] };
    if (text.trim() === '') return undefined;
    const value = jsonOf(text);
    if (value === undefined) return { reasons: ['the line is no JSON'] };
    const { data, error } = schema.safeParse(value);
    if (error)
      return { reasons: fieldErrorsOf('the line', error).map(({ path, message }) => storable(`${path}: ${message}`)) };
    return {
      user: {
        email: data.email,
        displayName: data.display_name,
        emailVerified: data.email_verified,
        isActive: data.is_active,
        roles: data.roles,
        passwordHash: data.password_hash ?? noPassword,
        createdAt: data.created_at,
      },
    };
  };
}
