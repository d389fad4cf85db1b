import { z } from 'zod';
import { fieldErrorsOf } from '../../lib/field-errors.ts';
import { parseHash } from '../../platform/password-hashing/hash-formats.ts';
import { sortedUnique } from '../../lib/sets.ts';
import { Timestamp } from '../../lib/text.ts';
import { exceedsTokenBudget, tokenBudgetError } from '../authorization/token-budget.ts';
import { EmailAddress } from '../users/email-address.ts';
import { DisplayName } from '../users/user.ts';

/** The stored hash of an account without a password. No password matches it. */
const noPassword = '!';

export interface ImportedUser {
  email: EmailAddress;
  displayName: string;
  emailVerified: boolean;
  isActive: boolean;
  roles: string[];
  passwordHash: string;
  /** Undefined: the time of the import. */
  createdAt: string | undefined;
}

/** Parses a line: an account, the reasons why it is invalid, or undefined if it is empty. The reasons never repeat values of the line. */
export type ParseLine = (bytes: Buffer | undefined) => { user: ImportedUser } | { reasons: string[] } | undefined;

function fail(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/**
 * An empty hash is accepted like null, because exports write accounts without a password either way. Columns of a fixed width are
 * padded with spaces, also if they are empty.
 */
const PasswordHash = z.string().transform((text, context) => {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  const hash = parseHash(trimmed);
  if (!hash) return fail(context, 'must be an Argon2, bcrypt, scrypt or PBKDF2 hash in a supported format');
  return hash.costError === undefined ? hash.stored : fail(context, hash.costError);
});

const timeError = 'must be an RFC 3339 time from 1970 until now, such as 2026-11-22T09:00:00Z';

/** Normalizes a time to milliseconds and UTC. */
function parseTime(text: string, nowMs: number): string | undefined {
  const ms = Timestamp.safeParse(text).data?.getTime() ?? NaN;
  return ms >= 0 && ms <= nowMs ? new Date(ms).toISOString() : undefined;
}

/** The scopes of each role, by name. */
export type KnownRoles = ReadonlyMap<string, readonly string[]>;

const fitsTokenBudget = (roles: readonly string[], known: KnownRoles): boolean =>
  !exceedsTokenBudget({ roles, scopes: sortedUnique(roles.flatMap((role) => known.get(role) ?? [])) });

const makeSchema = (knownRoles: KnownRoles, nowMs: number) =>
  z.strictObject({
    email: EmailAddress,
    display_name: DisplayName,
    email_verified: z.boolean().default(false),
    is_active: z.boolean().default(true),
    roles: z
      .array(z.string().refine((role) => knownRoles.has(role), { error: 'must be an existing role' }))
      .min(1, { error: 'must contain at least one role' })
      .max(100)
      .default(['user'])
      .transform((roles) => [...new Set(roles)])
      .refine((roles) => fitsTokenBudget(roles, knownRoles), { error: tokenBudgetError }),
    password_hash: PasswordHash.nullish(),
    created_at: z
      .string()
      .transform((text, context) => parseTime(text, nowMs) ?? fail(context, timeError))
      .optional(),
  });

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Drops the parser's message, because it quotes the line and therefore the hash. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Replaces characters that Postgres cannot store. A reason can repeat unknown member names, which can contain them. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

/** Creates a parser of import lines. `nowMs` is the latest creation time of an account. */
export function makeParseLine(knownRoles: KnownRoles, nowMs: number): ParseLine {
  const schema = makeSchema(knownRoles, nowMs);
  return (bytes) => {
    if (!bytes) return { reasons: ['the line is longer than 64 KiB'] };
    const text = decodeUtf8(bytes);
    if (text === undefined) return { reasons: ['the line is not valid UTF-8'] };
    if (text.trim() === '') return undefined;
    const value = parseJson(text);
    if (value === undefined) return { reasons: ['the line is not valid JSON'] };
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
