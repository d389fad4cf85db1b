// The syntax trees of source files, for tests of the code's structure.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { parseSync } from '@swc/core';

/** A node of swc's syntax tree. */
export interface Node {
  type: string;
  [property: string]: unknown;
}

export interface Import {
  /** A path below `src/`, or the name of a package. */
  from: string;
  /** The imported names; `*` for all. */
  names: string[];
}

export interface Export {
  name: string;
  isType: boolean;
}

export interface SourceFile {
  /** The path below the folder. */
  name: string;
  lines: number;
  /** All imports and re-exports, including type-only and dynamic ones. */
  imports: Import[];
  /** The exported values and types. */
  exports: Export[];
  nodes: Node[];
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value;

function* descendantsOf(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return;
  if (isNode(value)) yield value;
  for (const child of Object.values(value)) yield* descendantsOf(child);
}

const textOf = (value: unknown): string => (isNode(value) ? String(value['value']) : '');
const listOf = (value: unknown): Node[] => (Array.isArray(value) ? value.filter(isNode) : []);

const importedNames = ({ type, specifiers }: Node): string[] =>
  type === 'ExportAllDeclaration'
    ? ['*']
    : listOf(specifiers).map((specifier) => {
        if (specifier.type === 'ImportNamespaceSpecifier') return '*';
        if (specifier.type === 'ImportDefaultSpecifier') return 'default';
        return textOf(specifier['imported'] ?? specifier['orig'] ?? specifier['local']);
      });

/** The module that a node imports, if it imports one. */
function importOf(node: Node): Import | undefined {
  const { type, source } = node;
  if (/^(Import|ExportAll|ExportNamed)Declaration$/.test(type) && isNode(source))
    return { from: textOf(source), names: importedNames(node) };
  if (type === 'TsImportType') return { from: textOf(node['argument']), names: ['*'] };
  if (type !== 'CallExpression' || !isNode(node['callee']) || node['callee'].type !== 'Import') return undefined;
  const [argument] = Array.isArray(node['arguments']) ? node['arguments'] : [];
  return { from: textOf((argument as { expression?: unknown } | undefined)?.expression), names: ['*'] };
}

/** The names that a declaration or a pattern binds. */
function boundNames(node: Node): string[] {
  const { type, declarations, identifier, id, elements, properties, key, value } = node;
  if (type === 'Identifier') return [textOf(node)];
  if (type === 'VariableDeclaration')
    return listOf(declarations).flatMap((each) => (isNode(each['id']) ? boundNames(each['id']) : []));
  if (type === 'ArrayPattern') return listOf(elements).flatMap(boundNames);
  if (type === 'ObjectPattern') return listOf(properties).flatMap(boundNames);
  if (type === 'AssignmentPatternProperty') return [textOf(key)];
  if (type === 'KeyValuePatternProperty') return isNode(value) ? boundNames(value) : [];
  return [textOf(identifier ?? id)];
}

function exportsOf(node: Node): Export[] {
  if (node.type === 'ExportNamedDeclaration') {
    const isType = node['typeOnly'] === true;
    return listOf(node['specifiers']).map(({ exported, orig, isTypeOnly }) => ({
      name: textOf(exported ?? orig),
      isType: isType || isTypeOnly === true,
    }));
  }
  if (node.type !== 'ExportDeclaration' || !isNode(node['declaration'])) return [];
  const isType = /^Ts(Interface|TypeAlias)Declaration$/.test(node['declaration'].type);
  return boundNames(node['declaration']).map((name) => ({ name, isType }));
}

function parseFile(folder: string, name: string): SourceFile {
  const text = readFileSync(join(folder, name), 'utf8');
  const nodes = [...descendantsOf(parseSync(text, { syntax: 'typescript', target: 'es2023' }).body)];
  const imports = nodes.flatMap((node) => importOf(node) ?? []);
  const resolve = (from: string) => (from.startsWith('.') ? normalize(join(dirname(name), from)) : from);
  return {
    name,
    lines: text.split('\n').length - 1,
    imports: imports.map(({ from, names }) => ({ from: resolve(from), names })),
    exports: nodes.flatMap(exportsOf),
    nodes,
  };
}

/** Parses the TypeScript files of a folder, except generated ones. */
export const readSourceFiles = (folder: string): SourceFile[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?<!\.d)\.ts$/.test(name) && !/(^|\/)(generated|node_modules)\//.test(name))
    .map((name) => parseFile(folder, name));

/** Finds the groups of files that import each other, directly or indirectly (Tarjan's strongly connected components). */
export function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (name: string) => {
    index.set(name, index.size);
    lowest.set(name, index.size - 1);
    stack.push(name);
    for (const next of imports.get(name) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) lowest.set(name, Math.min(lowest.get(name) ?? 0, lowest.get(next) ?? 0));
    }
    if (lowest.get(name) !== index.get(name)) return;
    const component = stack.splice(stack.indexOf(name));
    if (component.length > 1) cycles.push(component.toSorted());
  };
  for (const name of imports.keys()) if (!index.has(name)) visit(name);
  return cycles;
}
