// The layout of all pages. Without absolute paths, so that the service can be mounted below any path.
import { Html, html } from '../../lib/html.ts';
import { sha256 } from '../../lib/secrets.ts';

const style = `
:root { color-scheme: light dark; --around: #f3f4f6; --card: #fff; --text: #1b1f24; --soft: #4b5563; --line: #6b7280;
  --act: #1d4ed8; --on-act: #fff; --error: #b3141f; }
@media (prefers-color-scheme: dark) {
  :root { --around: #101418; --card: #1a2027; --text: #e8eaed; --soft: #b4bcc6; --line: #8b95a1;
    --act: #9cc2ff; --on-act: #0b1526; --error: #ff9d9d; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--card); color: var(--text); font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 1.5rem; background: var(--card); overflow-wrap: anywhere; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
li { margin: 0 0 .375rem; }
@media (min-width: 40rem) {
  body { background: var(--around); }
  main { margin: 4rem auto; padding: 2.5rem; border-radius: .75rem; }
}
h1 { margin: .25rem 0 1rem; font-size: 1.625rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
form { margin-top: 1.5rem; }
label { display: block; font-weight: 600; }
.soft { color: var(--soft); font-size: .9375rem; }
.site { margin: 0; }
.hint { margin: 0 0 .5rem; }
.errors { margin: 0 0 .75rem; padding-left: .75rem; border-left: .25rem solid; color: var(--error); font-weight: 600; }
.errors p { margin: 0; }
input, button { display: block; width: 100%; min-height: 3rem; padding: .5rem .75rem; border-radius: .5rem; font: inherit; }
input { border: 1px solid var(--line); background: var(--card); color: inherit; }
input[aria-invalid] { border: 2px solid var(--error); }
button { margin-top: 1.25rem; border: 1px solid transparent; background: var(--act); color: var(--on-act);
  font-weight: 600; cursor: pointer; }
button:hover { text-decoration: underline; }
:focus-visible { outline: 3px solid var(--act); outline-offset: 3px; }
code { font-size: .9375rem; }
`;

/** The text between the tags must be exactly the hashed text. */
const styleElement = new Html(`<style>${style}</style>`);

/** Allows only the page's own style and a form that posts to this origin. */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${sha256(Buffer.from(style)).toString('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join(';');

/** The page's URL contains the token, so the page is not stored and its URL is not sent to other sites. */
export const pageHeaders = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': contentSecurityPolicy,
};

export const pageType = 'text/html; charset=utf-8';

export const paragraphs = (texts: readonly string[]): Html => html`${texts.map((text) => html`<p>${text}</p>`)}`;

export interface Page {
  title: string;
  /** Prefix of the document title, which screen readers announce first. */
  state?: string;
  content: Html;
}

/** `site` is the host in the address bar. */
export const renderPage = (site: string, { title, state, content }: Page): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${state === undefined ? title : `${state}: ${title}`}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        ${styleElement}
      </head>
      <body>
        <main>
          <p class="site soft">${site}</p>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html> `.markup;
