// Reads the part of compose.yaml that the tests use.
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

/** Replaces `${NAME:?error}`, `${NAME:-default}` and `${NAME}`. */
export const withVariables = (text: string, variables: Record<string, string>): string =>
  text.replace(/\$\{(\w+)(?::([?-])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    const value = variables[name] ?? '';
    if (value === '' && kind === '?') throw new Error(`${name} ${rest}`);
    return value === '' && kind === '-' ? rest : value;
  });

/** The required variables and the commands that generate their values, from the error messages in compose.yaml. */
export const requiredVariables = (text = composeText): Map<string, string> =>
  new Map(
    [...text.matchAll(/\$\{(\w+):\?is missing\. Make one with: ([^}]*)\}/g)].map(([, name = '', how = '']) => [
      name,
      how,
    ]),
  );

/** The environment of a service, with values for the variables. */
export function environmentOf(service: string, variables: Record<string, string>): Record<string, string> {
  const { environment = {} } = readCompose().services[service] ?? {};
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, withVariables(value, variables)]),
  );
}
