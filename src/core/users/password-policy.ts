import { readFile } from 'node:fs/promises';
import { StartupError } from '../../lib/errors.ts';
import { countCodePoints } from '../../lib/text.ts';

export interface PasswordPolicy {
  /** What can be said without asking anybody; without a context, of the password alone. */
  knownFaults(password: string, context?: PasswordContext): string[];
  /** One sentence for the end user per fault, `[]` when the password is acceptable. None repeats the password. */
  faults(password: string, context: PasswordContext): Promise<string[]>;
}

/** What of an account its password must not be. */
export interface PasswordContext {
  email: string;
  displayName: string;
}

/** What an operator may ask for at the least; NIST SP 800-63B-4 section 3.1.1.2. */
export const minPasswordLength = 8;
export const maxPasswordLength = 128;

const builtInList = new URL('../../../data/common-passwords.txt', import.meta.url);

/**
 * NIST SP 800-63B-4 section 3.1.1.2: "Verifiers SHALL verify the entire submitted password (e.g., not truncate it)."
 * NFC lets one password typed on two systems match; NFKC would also merge passwords that differ, such as `ﬁ` and `fi`.
 */
export function normalizePassword(password: string): string {
  return password.normalize('NFC');
}

export function makePasswordPolicy(deps: {
  minLength: number;
  blocklist: ReadonlySet<string>;
  breached?: ((password: string) => Promise<boolean>) | undefined;
}): PasswordPolicy {
  const knownFaults = (password: string, context: PasswordContext = { email: '', displayName: '' }) => {
    const normalized = normalizePassword(password);
    return [
      ...lengthFaults(normalized, deps.minLength),
      ...listFaults(normalized, deps.blocklist),
      ...contextFaults(normalized, context),
    ];
  };
  return {
    knownFaults,
    async faults(password, context) {
      const found = knownFaults(password, context);
      if (found.length > 0 || !(await deps.breached?.(normalizePassword(password)))) return found;
      return ['This password has appeared in a data breach elsewhere, so attackers know it. Choose another one.'];
    },
  };
}

/** The built-in list and the operator's own, one password a line. A comment is `#` alone or `#` and a space. */
export async function loadBlocklist(file?: string): Promise<ReadonlySet<string>> {
  const builtIn = await readList(builtInList, 'The built-in list of common passwords cannot be read');
  if (file === undefined) return new Set(builtIn);
  const own = await readList(file, `The password blocklist ${file} (PASSWORD_BLOCKLIST_FILE) cannot be read`);
  return new Set([...builtIn, ...own]);
}

async function readList(file: string | URL, complaint: string): Promise<string[]> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
    return text
      .split('\n')
      .map((line) => foldCase(normalizePassword(line.trim())))
      .filter((line) => line !== '' && !/^#(?:\s|$)/.test(line));
  } catch (error) {
    throw new StartupError(`${complaint}: ${(error as Error).message}`, { cause: error });
  }
}

function lengthFaults(password: string, minLength: number): string[] {
  const length = countCodePoints(password);
  if (length < minLength) return [`The password is too short: use at least ${minLength} characters.`];
  if (length > maxPasswordLength) return [`The password is too long: use at most ${maxPasswordLength} characters.`];
  return [];
}

function listFaults(password: string, blocklist: ReadonlySet<string>): string[] {
  if (!blocklist.has(foldCase(password))) return [];
  return ['This password is one of the most commonly used, which attackers try first. Choose another one.'];
}

function contextFaults(password: string, { email, displayName }: PasswordContext): string[] {
  const letters = lettersAndDigits(password);
  const localPart = email.slice(0, email.lastIndexOf('@'));
  const untagged = localPart.replace(/\+.*$/s, '');
  const faults: string[] = [];
  if ([email, localPart, untagged].some((word) => isLittleMoreThan(letters, word))) {
    faults.push('This password is too close to your e-mail address. Choose one that cannot be guessed from it.');
  }
  if (isLittleMoreThan(letters, displayName)) {
    faults.push('This password is too close to your name. Choose one that cannot be guessed from it.');
  }
  if (isLittleMoreThan(letters, 'keyturn')) {
    faults.push('This password is too close to the name of this service. Choose one that cannot be guessed from it.');
  }
  return faults;
}

function isLittleMoreThan(letters: string, contextWord: string): boolean {
  const word = lettersAndDigits(contextWord);
  // A word of one to three letters says little about a password that happens to contain it.
  if (countCodePoints(word) < 4 || !letters.includes(word)) return false;
  return countCodePoints(letters.replaceAll(word, '')) <= 3;
}

/** Looser than `normalizePassword`, for comparing with words only: `Ada.Love-Lace` is `adalovelace`. */
function lettersAndDigits(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}]/gu, '');
}

function foldCase(password: string): string {
  return password.toLowerCase();
}
