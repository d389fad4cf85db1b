import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { StaticBytes } from '../../http/static-bytes.ts';
import { script, style } from './page.ts';

export interface Asset {
  name: string;
  type: string;
  /** Read and compressed when first asked for, then kept. */
  bytes: () => Promise<StaticBytes>;
}

/** What fails is tried again at the next call. */
function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
}

const { resolve } = createRequire(import.meta.url);

const ofSwaggerUi = (name: string, type: string): Asset => ({
  name,
  type,
  bytes: once(async () => StaticBytes.of(await readFile(resolve(`swagger-ui-dist/${name}`)))),
});

const ofOurs = (name: string, type: string, text: string): Asset => ({
  name,
  type,
  bytes: once(() => StaticBytes.of(Buffer.from(text))),
});

const css = 'text/css; charset=utf-8';
const javascript = 'text/javascript; charset=utf-8';

/** All that is ever served below `/docs/`. */
export const assets: readonly Asset[] = [
  ofSwaggerUi('swagger-ui.css', css),
  ofSwaggerUi('swagger-ui-bundle.js', javascript),
  ofSwaggerUi('favicon-32x32.png', 'image/png'),
  ofOurs('page.css', css, style),
  ofOurs('page.js', javascript, script),
];
