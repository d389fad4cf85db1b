// The floors of the house, asserted from the imports.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

const source = 'src';

interface File {
  /** Below `src/`. */
  name: string;
  lines: number;
  /** Without comments, and with strings emptied: what is left is what the compiler would run. */
  code: string;
  /** Files below `src/`, and packages by their specifier; type-only imports too. */
  imports: string[];
}

/** Strings, templates and comments in one pass, so that none is taken for a part of another. */
const lexemes = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g;
const specifiers = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*(['"])([^'"\n]+)\1/g;

function read(name: string): File {
  const text = readFileSync(join(source, name), 'utf8');
  const withoutComments = text.replace(lexemes, (lexeme) => (lexeme.startsWith('/') ? ' ' : lexeme));
  const imports = [...withoutComments.matchAll(specifiers)].map(([, , specifier = '']) =>
    specifier.startsWith('.') ? relative(source, join(source, dirname(name), specifier)) : specifier,
  );
  const code = withoutComments.replace(lexemes, (text) =>
    text.startsWith('`') ? text.replace(/[^$`{}.()\w]/g, ' ') : "''",
  );
  return { name, lines: text.split('\n').length - 1, code, imports };
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('generated/'))
  .map(read);

/** `file: import` for each import that a rule refuses. */
const importsThat = (refused: (file: File, imported: string) => boolean) =>
  files.flatMap((file) => file.imports.filter((name) => refused(file, name)).map((name) => `${file.name}: ${name}`));

/** `file: match` for each place outside the allowed files where a pattern stands. */
const placesOf = (pattern: RegExp, allowed: (name: string) => boolean) =>
  files
    .filter(({ name }) => !allowed(name))
    .flatMap(({ name, code }) => [...code.matchAll(pattern)].map(([match]) => `${name}: ${match}`));

const floors = ['kernel', 'platform', 'http', 'core', 'features'];
const rooms = ['audit', 'keys', 'tokens', 'users', 'api-keys', 'sessions', 'scopes', 'one-time-tokens', 'mails'];
/** Packages of their own, which run in other people's programs. */
const infrastructure = /^(verify|client)\//;
/** Files right below `src/` and `cli/` are the top. */
const floorOf = (name: string) =>
  floors.includes(name.split('/')[0] ?? '') ? floors.indexOf(name.split('/')[0] ?? '') : floors.length;
const folderIn = (floor: string, name: string) => new RegExp(`^${floor}/([^/]+)/`).exec(name)?.[1];
const isOurs = (name: string) => name.endsWith('.ts');
const isGenerated = (name: string) => name.startsWith('generated/');
/** What apps run in browsers, in React Native and in Node: no part of the service. */
const isForApps = (name: string) => name.startsWith('client/');
const isStore = (name: string) => name.endsWith('.store.ts') || name === 'platform/postgres.ts';

test('the files are read as they are meant to be', () => {
  expect(files.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['app.ts', 'kernel/clock.ts', 'http/endpoint.ts']),
  );
  const app = files.find(({ name }) => name === 'app.ts');
  expect(app?.imports).toEqual(
    expect.arrayContaining(['parts.ts', 'features/refresh/refresh.feature.ts', 'http/server.ts']),
  );
  const postgres = files.find(({ name }) => name === 'platform/postgres.ts');
  expect(postgres?.imports).toEqual(expect.arrayContaining(['@prisma/adapter-pg', 'generated/prisma/client.ts']));
});

test('every file imports files that are there', () => {
  const known = new Set(files.map(({ name }) => name));
  expect(importsThat((_, name) => isOurs(name) && !isGenerated(name) && !known.has(name))).toEqual([]);
});

test('a file imports only from its own floor and from those below', () => {
  const refused = importsThat(
    ({ name }, imported) => isOurs(imported) && !isGenerated(imported) && floorOf(imported) > floorOf(name),
  );
  expect(refused).toEqual([]);
});

test('what is packed for other programs imports jose, node and its own files, and nothing imports it', () => {
  const theirs = (name: string, imported: string) =>
    imported === 'jose' ||
    imported.startsWith('node:') ||
    (isOurs(imported) && imported.split('/')[0] === name.split('/')[0]);
  expect(importsThat(({ name }, imported) => infrastructure.test(name) && !theirs(name, imported))).toEqual([]);
  expect(importsThat(({ name }, imported) => infrastructure.test(imported) && !infrastructure.test(name))).toEqual([]);
  expect(files.filter(({ name }) => name.startsWith('verify/')).length).toBeGreaterThan(5);
});

test('rooms of core/ import only from rooms that come before them', () => {
  const order = (name: string) => rooms.indexOf(folderIn('core', name) ?? '');
  expect(files.filter(({ name }) => name.startsWith('core/') && order(name) < 0).map(({ name }) => name)).toEqual([]);
  const refused = importsThat(({ name }, imported) => name.startsWith('core/') && order(imported) > order(name));
  expect(refused).toEqual([]);
});

test('features never import each other', () => {
  const refused = importsThat(({ name }, imported) => {
    const [from, to] = [folderIn('features', name), folderIn('features', imported)];
    return from !== undefined && to !== undefined && from !== to;
  });
  expect(refused).toEqual([]);
});

test('only the stores and platform/postgres.ts speak to Prisma', () => {
  const prisma = /^(@prisma\/|generated\/)/;
  expect(importsThat(({ name }, imported) => prisma.test(imported) && !isStore(name))).toEqual([]);
  const calls = /\$(queryRaw|executeRaw|transaction|queryRawUnsafe|executeRawUnsafe)\b/g;
  expect(placesOf(calls, isStore)).toEqual([]);
});

test('only platform/ opens connections to Postgres', () => {
  expect(importsThat(({ name }, imported) => /^pg(-|$)/.test(imported) && !name.startsWith('platform/'))).toEqual([]);
});

test('only http/ and app.ts import Express', () => {
  const refused = importsThat(
    ({ name }, imported) => /^(express|helmet)\b/.test(imported) && !name.startsWith('http/') && name !== 'app.ts',
  );
  expect(refused).toEqual([]);
});

test('only config.ts reads the environment', () => {
  expect(placesOf(/\b(process\??\.env|process\[)/g, (name) => name === 'config.ts')).toEqual([]);
  expect(importsThat((_, imported) => /^(node:)?process$/.test(imported))).toEqual([]);
});

test('client/ needs nothing of the service, no package, and nothing that only Node has; nothing of the service needs it', () => {
  expect(files.filter(({ name }) => isForApps(name)).length).toBeGreaterThan(5);
  expect(
    importsThat(
      ({ name }, imported) => isForApps(name) !== isForApps(imported) && (isForApps(name) || isOurs(imported)),
    ),
  ).toEqual([]);
  const ofNode = /\b(process|Buffer|setImmediate|require|__dirname|unref)\b/g;
  expect(placesOf(ofNode, (name) => !isForApps(name))).toEqual([]);
});

test('client/ writes no log, and keeps nothing but where the app tells it to', () => {
  const places = /\b(console|localStorage|sessionStorage|indexedDB|caches)\b|\.cookie\b/g;
  expect(placesOf(places, (name) => !isForApps(name))).toEqual([]);
});

test('only the clocks, and client/, read the time', () => {
  const isClock = (name: string) => ['kernel/clock.ts', 'verify/clock.ts'].includes(name) || isForApps(name);
  const readers = /\b(Date\.now|new Date\(\)|Date\(\)|performance\.now|process\.hrtime)\b|\bnew Date\(\s*\)/g;
  expect(placesOf(readers, isClock)).toEqual([]);
  expect(importsThat(({ name }, imported) => imported.endsWith('perf_hooks') && name !== 'kernel/clock.ts')).toEqual(
    [],
  );
});

test('only kernel/ draws random numbers for secrets', () => {
  expect(
    placesOf(
      /\b(Math\.random|randomBytes|randomFill)\b/g,
      (name) => name.startsWith('kernel/') || name === 'client/persist.ts',
    ),
  ).toEqual([]);
});

test('a file has at most 200 lines, and the map of the service 120', () => {
  const limits: Record<string, number> = { 'app.ts': 120 };
  const tooLong = files.filter(({ name, lines }) => lines > (limits[name] ?? 200));
  expect(tooLong.map(({ name, lines }) => `${name}: ${lines}`)).toEqual([]);
});

test('a suffix says what a file of a feature is', () => {
  const declares = (word: RegExp) => files.filter(({ name, code }) => !name.startsWith('http/') && word.test(code));
  const routes = declares(/\bendpoint\(\{/).map(({ name }) => name);
  expect(routes.length).toBeGreaterThan(5);
  expect(routes.filter((name) => !/^features\/.*\.route\.ts$/.test(name))).toEqual([]);
  const errors = declares(/\bclass \w+ extends Refusal\b/).map(({ name }) => name);
  expect(errors.filter((name) => !name.endsWith('.errors.ts') && name !== 'kernel/refusal.ts')).toEqual([]);
  const features = files.flatMap(({ name }) => folderIn('features', name) ?? []);
  const withDoor = new Set(routes.map((name) => folderIn('features', name)));
  expect([...new Set(features)].filter((feature) => !withDoor.has(feature))).toEqual([]);
});

test('a request goes from the route to the use-case to the store, never back', () => {
  const isRoute = (name: string) => name.endsWith('.route.ts');
  const mayAssemble = (name: string) => floorOf(name) === floors.length || name.endsWith('.feature.ts');
  expect(importsThat(({ name }, imported) => isRoute(imported) && !mayAssemble(name))).toEqual([]);
  const stores = importsThat(
    ({ name }, imported) =>
      isStore(name) && imported.startsWith('features/') && !/\.(store|errors)\.ts$/.test(imported),
  );
  expect(stores).toEqual([]);
});

test('nothing is typed as any', () => {
  expect(placesOf(/(:|<|\bas|\|)\s*any\b/g, () => false)).toEqual([]);
});
