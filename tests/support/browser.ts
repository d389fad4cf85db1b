// Starts the Chromium of jest.browser.config.js and records the requests and errors of a page.
import { type Browser, chromium, type Page } from 'playwright-core';

/** Without a sandbox, because root in a container has none, and without background requests. */
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

export const startBrowser = (extraArgs: readonly string[] = []): Promise<Browser> =>
  chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: [...args, ...extraArgs] });

/** The activity of a page since `watch` was called. */
export interface Watched {
  /** The URLs of its requests. */
  requests: string[];
  /** Console errors and warnings, exceptions, and violations of the Content-Security-Policy. */
  problems: string[];
}

const reportViolations = `document.addEventListener('securitypolicyviolation', (event) => {
  console.error(event.type, event.violatedDirective, event.blockedURI, event.sourceFile);
});`;

export async function watch(page: Page): Promise<Watched> {
  const watched: Watched = { requests: [], problems: [] };
  page.on('request', (request) => watched.requests.push(request.url()));
  page.on('pageerror', (error) => watched.problems.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) watched.problems.push(message.text());
  });
  await page.addInitScript({ content: reportViolations });
  return watched;
}
