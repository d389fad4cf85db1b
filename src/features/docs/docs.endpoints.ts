import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { StaticBytes } from '../../http/static-bytes.ts';
import { assets } from './assets.ts';
import { html } from './page.ts';

/** Nothing inline, nothing from elsewhere: no script of the page sends a token to another origin than its own. */
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
const tag = 'Operations';

export const docs = [
  endpoint({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tag,
    summary: 'This document, as a page to read and to try',
    response: z.string().meta({ description: 'A page for a browser', examples: ['<!doctype html>'] }),
    contentType: 'text/html; charset=utf-8',
    headers: { ...headers, 'Content-Security-Policy': contentSecurityPolicy },
    cacheable: true,
    handle: () => html,
  }),
  ...assets.map(({ name, type, bytes }) =>
    endpoint({
      method: 'get',
      path: `/docs/${name}`,
      operationId: 'getDocsAsset',
      tag,
      summary: 'What the page is made of',
      undocumented: true,
      response: z.instanceof(StaticBytes),
      contentType: type,
      headers,
      cacheable: true,
      handle: bytes,
    }),
  ),
];
