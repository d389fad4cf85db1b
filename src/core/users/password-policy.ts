import { readFile } from 'node:fs/promises';
import { StartupError } from '../../lib/errors.ts';
import { countCodePoints } from '../../lib/text.ts';
import { normalizePassword } from '../../platform/password-hashing/normalize-password.ts';

export interface PasswordPolicy {
  /** Returns one sentence for the user per violation, none of which repeats the password. Without `context`, ignores the account. */
  checkOffline(password: string, context?: PasswordContext): string[];
  /** Like `checkOffline`, and also looks the password up in data breaches if it has no other violation. */
  check(password: string, context: PasswordContext): Promise<string[]>;
}

/** The parts of an account that its password must not consist of. */
export interface PasswordContext {
  email: string;
  displayName: string;
}

/** The lowest minimum that operators can configure (NIST SP 800-63B-4 section 3.1.1.2). */
export const minPasswordLength = 8;
export const maxPasswordLength = 128;

const builtInList = new URL('../../../data/common-passwords.txt', import.meta.url);

export function makePasswordPolicy(deps: {
  minLength: number;
  blocklist: ReadonlySet<string>;
  breached?: ((password: string) => Promise<boolean>) | undefined;
}): PasswordPolicy {
  const checkOffline = (password: string, context: PasswordContext = { email: '', displayName: '' }) => {
    const normalized = normalizePassword(password);
    return [
      ...checkLength(normalized, deps.minLength),
      ...checkBlocklist(normalized, deps.blocklist),
      ...checkContext(normalized, context),
    ];
  };
  return {
    checkOffline,
    async check(password, context) {
      const violations = checkOffline(password, context);
      if (violations.length > 0 || !(await deps.breached?.(normalizePassword(password)))) return violations;
      return ['This password appeared in a data breach of another service, so attackers know it. Choose another one.'];
    },
  };
}

/**
 * Loads the built-in list and the operator's list: one password per line. A line that is `#` or starts with `#` and a space is
 * a comment. @throws StartupError
 */
export async function loadBlocklist(file?: string): Promise<ReadonlySet<string>> {
  const builtIn = await readList(builtInList, 'Cannot read the built-in list of common passwords');
  if (file === undefined) return new Set(builtIn);
  const own = await readList(file, `Cannot read the password blocklist ${file} (PASSWORD_BLOCKLIST_FILE)`);
  return new Set([...builtIn, ...own]);
}

async function readList(file: string | URL, failure: string): Promise<string[]> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
    return text
      .split('\n')
      .map((line) => foldCase(normalizePassword(line.trim())))
      .filter((line) => line !== '' && !/^#(?:\s|$)/.test(line));
  } catch (error) {
    throw new StartupError(`${failure}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function checkLength(password: string, minLength: number): string[] {
  const length = countCodePoints(password);
  if (length < minLength) return [`The password is too short. Use at least ${minLength} characters.`];
  if (length > maxPasswordLength) return [`The password is too long. Use at most ${maxPasswordLength} characters.`];
  return [];
}

function checkBlocklist(password: string, blocklist: ReadonlySet<string>): string[] {
  if (!blocklist.has(foldCase(password))) return [];
  return ['This is one of the most commonly used passwords, which attackers try first. Choose another one.'];
}

function checkContext(password: string, { email, displayName }: PasswordContext): string[] {
  const letters = lettersAndDigits(password);
  const localPart = email.slice(0, email.lastIndexOf('@'));
  const untagged = localPart.replace(/\+.*$/s, '');
  const violations: string[] = [];
  if ([email, localPart, untagged].some((word) => consistsOf(letters, word))) {
    violations.push('This password is too similar to your email address. Choose another one.');
  }
  if (consistsOf(letters, displayName)) {
    violations.push('This password is too similar to your name. Choose another one.');
  }
  if (consistsOf(letters, 'keyturn')) {
    violations.push('This password is too similar to the name of this service. Choose another one.');
  }
  return violations;
}

function consistsOf(letters: string, contextWord: string): boolean {
  const word = lettersAndDigits(contextWord);
  // A password can contain a word of one to three letters by chance.
  if (countCodePoints(word) < 4 || !letters.includes(word)) return false;
  return countCodePoints(letters.replaceAll(word, '')) <= 3;
}

/** For comparisons only: `Ada.Love-Lace` becomes `adalovelace`. */
function lettersAndDigits(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}]/gu, '');
}

function foldCase(password: string): string {
  return password.toLowerCase();
}
