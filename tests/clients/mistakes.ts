// Mistakes in openapi-fetch/walk.ts: the original text, the replacement, and a part of the compiler's error.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runIn } from './generators.ts';

export const mistakes = {
  'a misspelled member of a request body': ["display_name: 'Ada", "displayName: 'Ada", 'display_name'],
  'a request body without a required member': ['body: { email, password } }', 'body: { email } }', 'password'],
  'a member of a request body with the wrong type': [
    'body: { email, password } }',
    'body: { email, password: 1 } }',
    'number',
  ],
  'an unknown member of a response': ['refreshed.session_id', 'refreshed.session', 'session'],
  'an unknown path': ["GET('/me')", "GET('/account')", 'Expected 2 arguments'],
  'a method that the path does not support': ["GET('/me')", "POST('/me')", 'Expected 2 arguments'],
  'a query parameter with the wrong type': ['limit: 1 }', "limit: 'one' }", 'string'],
  'an unknown error code': ["=== 'validation_failed'", "=== 'validation_faild'", 'no overlap'],
  'an error code of another operation': ["=== 'invalid_access_token'", "=== 'invalid_refresh_token'", 'no overlap'],
  'an unknown reason': ["=== 'revoked'", "=== 'stolen'", 'no overlap'],
  'an optional member used without a check': ['(invalid.errors ?? [])', 'invalid.errors', 'undefined'],
} as const;

const walkFile = 'walk.ts';
const mistakeFile = (index: number) => `mistake-${index}.ts`;

/** Compiles all mistakes. Returns the errors of the compiler by mistake, or by file for other files. */
export async function compileMistakes(folder: string): Promise<Record<string, string>> {
  const walk = await readFile(join(folder, walkFile), 'utf8');
  const entries = Object.entries(mistakes);
  for (const [index, [, [right, wrong]]] of entries.entries()) {
    if (!walk.includes(right)) throw new Error(`${walkFile} does not contain ${right}`);
    await writeFile(join(folder, mistakeFile(index)), walk.replace(right, wrong));
  }
  const output = await runIn(folder, ['npx', 'tsc', '--noEmit', '--pretty', 'false']).catch(
    ({ cause }: { cause: { stdout: string } }) => cause.stdout,
  );
  await Promise.all(entries.map((_, index) => rm(join(folder, mistakeFile(index)))));

  const errors: Record<string, string> = {};
  for (const error of output.split(/\n(?=\S)/).filter((text) => text.trim() !== '')) {
    const [file = ''] = error.split('(');
    const name = entries.find((_, index) => file === mistakeFile(index))?.[0] ?? file;
    errors[name] = `${errors[name] ?? ''}${error}\n`;
  }
  return errors;
}
