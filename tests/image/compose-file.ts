// compose.yaml, as far as it is used.
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

export interface ComposeService {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  volumes?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  mem_limit?: string;
  stop_grace_period?: string;
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  volumes: Record<string, null>;
}

export const composeText = await readFile('compose.yaml', 'utf8');

export const readCompose = (text = composeText) => parse(text, { merge: true }) as ComposeFile;

/** `${NAME:?what is missing}`, `${NAME:-default}` and `${NAME}`, filled in. */
export const withVariables = (text: string, variables: Record<string, string>): string =>
  text.replace(/\$\{(\w+)(?::([?-])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    const value = variables[name] ?? '';
    if (value === '' && kind === '?') throw new Error(`${name} ${rest}`);
    return value === '' && kind === '-' ? rest : value;
  });

/** The variables that must be given, with the command that makes one, taken from the sentence that asks for it. */
export const requiredVariables = (text = composeText): Map<string, string> =>
  new Map(
    [...text.matchAll(/\$\{(\w+):\?is missing\. Make one with: ([^}]*)\}/g)].map(([, name = '', how = '']) => [
      name,
      how,
    ]),
  );

/** What a service gets, with every required variable made as its sentence says. */
export function environmentOf(service: string, variables: Record<string, string>): Record<string, string> {
  const { environment = {} } = readCompose().services[service] ?? {};
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, withVariables(value, variables)]),
  );
}
