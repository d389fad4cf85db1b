import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { StaticBytes } from '../../http/static-bytes.ts';
import { script, style } from './page.ts';

export interface Asset {
  name: string;
  type: string;
  /** Reads and compresses the file on first use. */
  bytes: () => Promise<StaticBytes>;
}

/** Calls `load` once. A failed call is repeated by the next one. */
function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loaded: Promise<Value> | undefined;
  return () =>
    (loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    }));
}

const { resolve } = createRequire(import.meta.url);

const swaggerUiFile = (name: string, type: string): Asset => ({
  name,
  type,
  bytes: once(async () => StaticBytes.of(await readFile(resolve(`swagger-ui-dist/${name}`)))),
});

const ownFile = (name: string, type: string, text: string): Asset => ({
  name,
  type,
  bytes: once(() => StaticBytes.of(Buffer.from(text))),
});

const css = 'text/css; charset=utf-8';
const javascript = 'text/javascript; charset=utf-8';

/** The files below `/docs/`. */
export const assets: readonly Asset[] = [
  swaggerUiFile('swagger-ui.css', css),
  swaggerUiFile('swagger-ui-bundle.js', javascript),
  swaggerUiFile('favicon-32x32.png', 'image/png'),
  ownFile('page.css', css, style),
  ownFile('page.js', javascript, script),
];
