// The Chromium that jest.browser.config.js names, and what it tells of a page.
import { type Browser, chromium, type Page } from 'playwright-core';

/** Without a sandbox, as root in a container has none, and without calls to anywhere of its own. */
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `more` are further switches. */
export const startBrowser = (more: readonly string[] = []): Promise<Browser> =>
  chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: [...args, ...more] });

/** What a page did since it was watched. */
export interface Watched {
  /** URLs, of all that it asked for. */
  requests: string[];
  /** Errors and warnings of the console, exceptions, and what its Content-Security-Policy refused. */
  complaints: string[];
}

const reportViolations = `document.addEventListener('securitypolicyviolation', (event) => {
  console.error(event.type, event.violatedDirective, event.blockedURI, event.sourceFile);
});`;

export async function watch(page: Page): Promise<Watched> {
  const watched: Watched = { requests: [], complaints: [] };
  page.on('request', (request) => watched.requests.push(request.url()));
  page.on('pageerror', (error) => watched.complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) watched.complaints.push(message.text());
  });
  await page.addInitScript({ content: reportViolations });
  return watched;
}
