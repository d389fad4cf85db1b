import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { StaticBytes } from '../../http/static-bytes.ts';
import { assets } from './assets.ts';
import { html } from './page.ts';

/** No inline scripts and no other origins, so that the page cannot send a token anywhere else. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join(';');

const headers = { 'Cache-Control': 'public, max-age=300' };
/** People open the page through links, to which chats and trackers add parameters. */
const common = { method: 'get', tag: 'Operations', ignoresUnknownQuery: true, cacheable: true } as const;

export const docsEndpoints: Endpoint[] = [
  endpoint({
    ...common,
    path: '/docs',
    operationId: 'getDocs',
    summary: 'Browse and try this API',
    response: z.string().meta({ description: 'An HTML page', examples: ['<!doctype html>'] }),
    contentType: 'text/html; charset=utf-8',
    headers: { ...headers, 'Content-Security-Policy': contentSecurityPolicy },
    handle: () => html,
  }),
  ...assets.map(({ name, type, bytes }) =>
    endpoint({
      ...common,
      path: `/docs/${name}`,
      operationId: 'getDocsAsset',
      summary: 'Get a file of the page',
      undocumented: true,
      response: z.instanceof(StaticBytes),
      contentType: type,
      headers,
      handle: bytes,
    }),
  ),
];
