// Each is openapi-fetch/walk.ts with one mistake, and the compiler's words for it.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runIn } from './generators.ts';

export const mistakes = {
  'a member of a body that is misspelt': ["display_name: 'Ada", "displayName: 'Ada", 'display_name'],
  'a body without a required member': ['body: { email, password } }', 'body: { email } }', 'password'],
  'a member of a body of another type': ['body: { email, password } }', 'body: { email, password: 1 } }', 'number'],
  'a member of an answer that is not there': ['refreshed.session_id', 'refreshed.session', 'session'],
  'a path that is not there': ["GET('/me')", "GET('/account')", 'Expected 2 arguments'],
  'a method that a path does not take': ["GET('/me')", "POST('/me')", 'Expected 2 arguments'],
  'a query parameter of another type': ['limit: 1 }', "limit: 'one' }", 'string'],
  'a code that the operation never answers': ["=== 'validation_failed'", "=== 'validation_faild'", 'no overlap'],
  'a code of another operation': ["=== 'invalid_access_token'", "=== 'invalid_refresh_token'", 'no overlap'],
  'a reason that is not one of the four': ["=== 'revoked'", "=== 'stolen'", 'no overlap'],
  'an optional member taken for granted': ['(invalid.errors ?? [])', 'invalid.errors', 'undefined'],
} as const;

const walkFile = 'walk.ts';
const mistakeFile = (index: number) => `mistake-${index}.ts`;

/** What the compiler has against each, by its name; and against any other file. */
export async function compileMistakes(folder: string): Promise<Record<string, string>> {
  const walk = await readFile(join(folder, walkFile), 'utf8');
  const entries = Object.entries(mistakes);
  for (const [index, [, [right, wrong]]] of entries.entries()) {
    if (!walk.includes(right)) throw new Error(`${walkFile} has no ${right}`);
    await writeFile(join(folder, mistakeFile(index)), walk.replace(right, wrong));
  }
  const output = await runIn(folder, ['npx', 'tsc', '--noEmit', '--pretty', 'false']).catch(
    ({ cause }: { cause: { stdout: string } }) => cause.stdout,
  );
  await Promise.all(entries.map((_, index) => rm(join(folder, mistakeFile(index)))));

  const faults: Record<string, string> = {};
  for (const fault of output.split(/\n(?=\S)/).filter((text) => text.trim() !== '')) {
    const [file = ''] = fault.split('(');
    const name = entries.find((_, index) => file === mistakeFile(index))?.[0] ?? file;
    faults[name] = `${faults[name] ?? ''}${fault}\n`;
  }
  return faults;
}
