// Module hooks of runner.js: TypeScript, `@jest/globals`, and a new copy of each file in tests/ for each test file.
import { load as loadTypeScript } from '../../../scripts/typescript.js';

const globals = new URL('globals.js', import.meta.url).href;
const tests = new URL('../../', import.meta.url).href;
/** Without state, and expensive to load. */
const shared = new Set(['support/documented.ts', 'support/jest/globals.js'].map((path) => tests + path));

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, nextResolve) {
  if (specifier === '@jest/globals') return { url: globals, shortCircuit: true };
  const resolved = await nextResolve(specifier, context);
  const run = context.parentURL && new URL(context.parentURL).search;
  if (!run?.startsWith('?run=') || !resolved.url.startsWith(tests) || shared.has(resolved.url)) return resolved;
  return { ...resolved, url: resolved.url + run };
}

/** @type {Map<string, Promise<import('node:module').LoadFnOutput>>} */
const loaded = new Map();

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  const [file = url] = url.split('?');
  if (!file.endsWith('.ts')) return nextLoad(url, context);
  const known = loaded.get(file) ?? loadTypeScript(file, context, nextLoad);
  loaded.set(file, Promise.resolve(known));
  return known;
}
