// The rules of CONTRIBUTING.md about files and imports.
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { findCycles, type Node, readSourceFiles, type SourceFile } from './support/source-files.ts';

const files = readSourceFiles('src');
const names = new Set(files.map(({ name }) => name));

const layers = ['lib', 'platform', 'core', 'http', 'features'];
const topOf = (name: string) => name.split('/')[0] ?? '';
/** Published packages, which are not part of the service. */
const isPackage = (name: string) => /^(client|verify)\//.test(name);
const isGenerated = (name: string) => name.startsWith('generated/');
const isFile = (name: string) => name.endsWith('.ts');
const isIn = (...folders: string[]) => {
  const allowed = new Set(folders);
  return (name: string) => allowed.has(topOf(name)) || allowed.has(name);
};
/** Files outside the layers, such as app.ts, cli/ and dev/, are the top layer. */
const layerOf = (name: string) => {
  if (isGenerated(name)) return layers.indexOf('platform');
  return layers.includes(topOf(name)) ? layers.indexOf(topOf(name)) : layers.length;
};
const featureOf = (name: string) => /^features\/([^/]+)\//.exec(name)?.[1];

/** `file: import` for each import that breaks a rule. */
const importsThat = (breaksRule: (name: string, imported: string) => boolean) =>
  files.flatMap(({ name, imports }) =>
    imports.filter(({ from }) => breaksRule(name, from)).map(({ from }) => `${name}: ${from}`),
  );

/** `file: description` for each node that breaks a rule. */
const nodesThat = (describeViolation: (node: Node) => string | undefined, isAllowed: (name: string) => boolean) =>
  files
    .filter(({ name }) => !isAllowed(name))
    .flatMap(({ name, nodes }) =>
      nodes.flatMap((node) => describeViolation(node) ?? []).map((text) => `${name}: ${text}`),
    );

const child = (node: Node, property: string): Node | undefined => {
  const value = node[property];
  return typeof value === 'object' && value !== null && 'type' in value ? (value as Node) : undefined;
};
const identifier = (node: Node | undefined) => (node?.type === 'Identifier' ? String(node['value']) : undefined);
/** `object.property` of a member expression. */
const memberOf = (node: Node): string | undefined => {
  if (node.type !== 'MemberExpression') return undefined;
  const [object, property] = [identifier(child(node, 'object')), identifier(child(node, 'property'))];
  return object && property && `${object}.${property}`;
};
const uses = (pattern: RegExp) => (node: Node) => {
  const used = memberOf(node) ?? identifier(node);
  return used !== undefined && pattern.test(used) ? used : undefined;
};

describe('the reader of source files', () => {
  const file = (name: string) => files.find((each) => each.name === name) as SourceFile;

  test('finds imports of files and packages, also type-only ones', () => {
    expect(file('service.ts').imports).toEqual(
      expect.arrayContaining([
        { from: 'node:timers/promises', names: ['setTimeout'] },
        { from: 'app.ts', names: ['makeApp'] },
        { from: 'config.ts', names: ['Config'] },
      ]),
    );
  });

  test('finds exports', () => {
    const exports = file('lib/clock.ts').exports.map(({ name, isType }) => [name, isType]);
    expect(exports).toEqual([
      ['Clock', true],
      ['systemClock', false],
      ['isWithinTenYears', false],
      ['monotonicMs', false],
      ['jittered', false],
    ]);
  });

  test('finds import cycles', () => {
    const imports = { a: ['b', 'd'], b: ['c'], c: ['a'], d: ['e'], e: [] };
    expect(findCycles(new Map(Object.entries(imports)))).toEqual([['a', 'b', 'c']]);
  });
});

describe('imports', () => {
  test('refer to existing files', () => {
    expect(importsThat((_, imported) => isFile(imported) && !isGenerated(imported) && !names.has(imported))).toEqual(
      [],
    );
  });

  test('follow the order lib, platform, core, http, features, app', () => {
    expect(
      importsThat((name, imported) => isFile(imported) && !isPackage(name) && layerOf(imported) > layerOf(name)),
    ).toEqual([]);
  });

  test('form no cycles', () => {
    const imports = files.map(({ name, imports: all }): [string, string[]] => [name, all.map(({ from }) => from)]);
    expect(findCycles(new Map(imports))).toEqual([]);
  });

  test('never connect two features', () => {
    expect(
      importsThat((name, imported) => {
        const [from, to] = [featureOf(name), featureOf(imported)];
        return from !== undefined && to !== undefined && from !== to;
      }),
    ).toEqual([]);
  });

  test('of http/ occur in features only in endpoint files, and in features about HTTP itself', () => {
    const speaksHttp = (name: string) => /\.endpoints?\.ts$|^features\/(oauth|link-pages|docs)\//.test(name);
    expect(
      importsThat(
        (name, imported) =>
          featureOf(name) !== undefined &&
          topOf(imported) === 'http' &&
          !imported.startsWith('http/schemas/') &&
          !speaksHttp(name),
      ),
    ).toEqual([]);
  });

  test('of client/ and verify/ stay within the package, jose and node', () => {
    const isAllowed = (name: string, imported: string) =>
      isFile(imported)
        ? topOf(imported) === topOf(name)
        : topOf(name) === 'verify' && /^(jose|node:.+)$/.test(imported);
    expect(importsThat((name, imported) => isPackage(name) && !isAllowed(name, imported))).toEqual([]);
    expect(importsThat((name, imported) => isPackage(imported) && topOf(name) !== topOf(imported))).toEqual([]);
  });

  test('of pg and Prisma occur only in platform/', () => {
    expect(
      importsThat((name, imported) => /^(pg$|pg-|@prisma\/|generated\/)/.test(imported) && topOf(name) !== 'platform'),
    ).toEqual([]);
  });

  test('of Express occur only in http/ and app.ts', () => {
    expect(
      importsThat((name, imported) => /^(express|helmet|cors)\b/.test(imported) && !isIn('http', 'app.ts')(name)),
    ).toEqual([]);
  });

  test('use every exported value', () => {
    const others = ['tests', 'bench', 'scripts'].flatMap((folder) =>
      readSourceFiles(folder).flatMap(({ name, imports }) =>
        imports.map(({ from, names: imported }) => ({
          from: from.startsWith('..') ? join(folder, dirname(name), from) : from,
          names: imported,
        })),
      ),
    );
    const used = new Map<string, Set<string>>();
    for (const { from, names: imported } of [...files.flatMap(({ imports }) => imports), ...others]) {
      const file = from.replace(/^.*?src\//, '');
      used.set(file, new Set([...(used.get(file) ?? []), ...imported]));
    }
    const isUsed = (file: string, name: string) => used.get(file)?.has(name) || used.get(file)?.has('*');
    expect(
      files
        .filter(({ name }) => !/^(client|verify)\/index\.ts$/.test(name))
        .flatMap(({ name, exports }) =>
          exports.filter((each) => !each.isType && !isUsed(name, each.name)).map((each) => `${name}: ${each.name}`),
        ),
    ).toEqual([]);
  });
});

describe('SQL', () => {
  test('occurs only in *.sql.ts files and platform/', () => {
    const isAllowed = (name: string) => topOf(name) === 'platform' || name.endsWith('.sql.ts');
    expect(importsThat((name, imported) => imported === 'platform/sql.ts' && !isAllowed(name))).toEqual([]);
    expect(nodesThat(uses(/\$(queryRaw|executeRaw)(Unsafe)?$/), isIn('platform'))).toEqual([]);
  });

  test('files neither throw nor record audit events', () => {
    const isSql = (name: string) => name.endsWith('.sql.ts');
    expect(
      nodesThat(
        ({ type }) => (type === 'ThrowStatement' ? 'throw' : undefined),
        (name) => !isSql(name),
      ),
    ).toEqual([]);
    expect(importsThat((name, imported) => isSql(name) && /(\.errors|\/errors|\/audit)\.ts$/.test(imported))).toEqual(
      [],
    );
  });
});

describe('access to the outside', () => {
  test('only config.ts reads the environment', () => {
    expect(nodesThat(uses(/^process\.env$/), isIn('config.ts'))).toEqual([]);
    expect(importsThat((_, imported) => /^(node:)?process$/.test(imported))).toEqual([]);
  });

  test('only the clocks read the time', () => {
    const readsTime = (node: Node) => {
      const isNow =
        node.type === 'NewExpression' &&
        identifier(child(node, 'callee')) === 'Date' &&
        (node['arguments'] as unknown[]).length === 0;
      return isNow ? 'new Date()' : uses(/^(Date\.now|performance\.now|process\.hrtime)$/)(node);
    };
    expect(nodesThat(readsTime, isIn('lib/clock.ts', 'verify/verifier.ts', 'client'))).toEqual([]);
    expect(importsThat((name, imported) => imported.endsWith('perf_hooks') && name !== 'lib/clock.ts')).toEqual([]);
  });

  test('only lib/ draws random numbers', () => {
    const random =
      /^(Math\.random|randomBytes|randomInt|randomUUID|randomFill(Sync)?|getRandomValues|crypto\.\w*[rR]andom\w*)$/;
    expect(nodesThat(uses(random), isIn('lib', 'client/retry.ts'))).toEqual([]);
  });

  test('client/ uses nothing that only Node has, and no storage or log of the browser', () => {
    const unavailable =
      /^(process|Buffer|setImmediate|require|__dirname|unref|console|localStorage|sessionStorage|indexedDB|caches|document\.cookie)$/;
    expect(nodesThat(uses(unavailable), (name) => topOf(name) !== 'client')).toEqual([]);
  });
});

describe('types', () => {
  /** Branded types can only be created with a cast. */
  const createsBrands = isIn('lib/ids.ts', 'lib/network.ts');

  test('are never any', () => {
    const isAny = ({ type, kind }: Node) => (type === 'TsKeywordType' && kind === 'any' ? 'any' : undefined);
    expect(nodesThat(isAny, () => false)).toEqual([]);
  });

  test('are not asserted outside platform/ and the packages', () => {
    /** JSON Schema and Express' own types. */
    const isUntyped = isIn('http/openapi/document.ts', 'http/openapi/schemas.ts', 'http/server/server.ts');
    const assertion = (node: Node) => {
      if (node.type === 'TsNonNullExpression') return '!';
      if (node.type !== 'TsAsExpression' && node.type !== 'TsTypeAssertion') return undefined;
      return 'as';
    };
    expect(
      nodesThat(
        assertion,
        (name) => topOf(name) === 'platform' || isPackage(name) || createsBrands(name) || isUntyped(name),
      ),
    ).toEqual([]);
  });
});

describe('size and names', () => {
  test('a file has at most 200 lines', () => {
    expect(files.filter(({ lines }) => lines > 200).map(({ name, lines }) => `${name}: ${lines}`)).toEqual([]);
  });

  test('a folder has at most 12 files', () => {
    const folders = new Map<string, number>();
    for (const { name } of files) folders.set(dirname(name), (folders.get(dirname(name)) ?? 0) + 1);
    expect([...folders].filter(([, count]) => count > 12).map(([name, count]) => `${name}: ${count}`)).toEqual([]);
  });

  test('features have endpoint files, use cases and queries', () => {
    expect(files.filter(({ name }) => /\.(store|feature|route)\.ts$/.test(name)).map(({ name }) => name)).toEqual([]);
    const declaresEndpoint = (node: Node) =>
      node.type === 'CallExpression' && identifier(child(node, 'callee')) === 'endpoint' ? 'endpoint()' : undefined;
    expect(nodesThat(declaresEndpoint, (name) => /^features\/.*\.endpoints?\.ts$/.test(name))).toEqual([]);
  });

  test('requests keep their state in arguments', () => {
    const isLayerOfRequests = isIn('http', 'features');
    /** Its map is keyed by connections. */
    const isConnections = isIn('http/server/when-closed.ts');
    expect(
      nodesThat(uses(/^(WeakMap|AsyncLocalStorage)$/), (name) => !isLayerOfRequests(name) || isConnections(name)),
    ).toEqual([]);
  });
});
