// The pages of emailed links in a browser: without JavaScript, on a phone and a desktop, in light and dark mode.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { password } from '../harness.ts';
import { startBrowser, watch, type Watched } from '../support/browser.ts';
import { serveLinks, tokens } from '../support/links.ts';

let browser: Browser;
let served: Awaited<ReturnType<typeof serveLinks>>;
/** With a rate limit of zero. */
let limited: typeof served;
beforeAll(async () => {
  browser = await startBrowser();
  served = await serveLinks();
  limited = await serveLinks({ mail: { count: 0, windowSeconds: 900 } });
});
afterAll(async () => {
  await browser?.close();
  await served?.close();
  await limited?.close();
});

let context: BrowserContext | undefined;
let page: Page;
let watched: Watched;
afterEach(async () => {
  await context?.close();
  served.followed.length = 0;
});

async function newPage(options: BrowserContextOptions = {}): Promise<void> {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  page = await context.newPage();
  page.setDefaultTimeout(60_000); // a busy machine may draw no frame for long
  watched = await watch(page);
}

const heading = () => page.locator('h1').innerText();
const open = (link: string, token: string, below = '') =>
  page.goto(`${served.baseUrl}${below}/${link}${token && `?token=${token}`}`);
const press = async (name: string) => {
  const answered = page.waitForEvent('load');
  await page.getByRole('button', { name }).click();
  await answered;
};
const field = () => page.getByLabel('New password');

async function set(newPassword: string): Promise<void> {
  await field().fill(newPassword);
  await press('Set password');
}

const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } satisfies BrowserContextOptions;
const withoutScript: BrowserContextOptions = { javaScriptEnabled: false };

/** The message of the browser for an expected error status. */
const ofStatus = /^Failed to load resource: the server responded with a status of \d+/;
const problems = () => watched.problems.filter((problem) => !ofStatus.test(problem));

const headings: Record<string, string> = {
  verify: 'Verify your email address',
  'verify-done': 'Your email address is verified',
  reset: 'Set a new password',
  'reset-rejected': 'Set a new password',
  'reset-done': 'Your password was reset',
  undo: 'Undo the change of your email address',
  'undo-done': 'Your email address was restored',
  incomplete: 'This link is incomplete',
  invalid: 'This link is no longer valid',
  busy: 'The service is busy',
  down: 'The service is unavailable',
  faulty: 'Something went wrong',
  limited: 'Too many attempts',
  unreadable: 'Invalid request',
};

/** The steps to each state of each page. */
const states: Record<string, () => Promise<unknown>> = {
  verify: () => open('verify-email', tokens.good),
  'verify-done': async () => {
    await open('verify-email', tokens.good);
    await press('Verify email address');
  },
  reset: () => open('reset-password', tokens.good),
  'reset-rejected': async () => {
    await open('reset-password', tokens.good);
    await set('password1');
  },
  'reset-done': async () => {
    await open('reset-password', tokens.good);
    await set(password);
  },
  undo: () => open('undo-email-change', tokens.good),
  'undo-done': async () => {
    await open('undo-email-change', tokens.good);
    await press('Undo the change');
  },
  incomplete: () => open('verify-email', ''),
  invalid: async () => {
    await open('undo-email-change', tokens.invalid);
    await press('Undo the change');
  },
  busy: async () => {
    await open('reset-password', tokens.busy);
    await set(password);
  },
  down: async () => {
    await open('verify-email', tokens.down);
    await press('Verify email address');
  },
  faulty: async () => {
    await open('verify-email', tokens.faulty);
    await press('Verify email address');
  },
  limited: async () => {
    await page.goto(`${limited.baseUrl}/verify-email?token=${tokens.invalid}`);
    await press('Verify email address');
  },
  unreadable: async () => {
    await open('verify-email', tokens.good);
    await page.evaluate(`document.forms[0].enctype = 'text/plain'`);
    await press('Verify email address');
  },
};

describe('without JavaScript', () => {
  test('one click verifies an email address', async () => {
    await newPage({ ...phone, ...withoutScript });
    await open('verify-email', tokens.good);
    expect(served.followed).toEqual([]);
    await press('Verify email address');
    expect(await heading()).toBe('Your email address is verified');
    expect(served.followed).toEqual([{ link: 'verify-email', token: tokens.good }]);
  });

  test('the keyboard is sufficient to set a password after a rejected one', async () => {
    await newPage(withoutScript);
    await open('reset-password', tokens.good);
    await page.keyboard.press('Tab');
    await page.keyboard.type('password1');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').innerText()).toMatch(/most commonly used/);
    expect([await page.title(), await field().inputValue()]).toEqual(['Error: Set a new password', '']);
    // The field has the focus already.
    await page.keyboard.type(password);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await page.getByText('Your password was reset').waitFor();
    expect(served.followed).toEqual([{ link: 'reset-password', token: tokens.good, newPassword: password }]);
  });

  test('a password that is too short is not sent', async () => {
    await newPage(withoutScript);
    await open('reset-password', tokens.good);
    await field().pressSequentially('short');
    await page.getByRole('button', { name: 'Set password' }).click();
    expect(
      await field().evaluate((input) => (input as unknown as { validity: { tooShort: boolean } }).validity.tooShort),
    ).toBe(true);
    expect(new URL(page.url()).pathname).toBe('/reset-password');
    expect(watched.requests).toHaveLength(1);
  });

  test('one click undoes a change of the email address', async () => {
    await newPage({ ...phone, ...withoutScript });
    await open('undo-email-change', tokens.good);
    await press('Undo the change');
    expect(await heading()).toBe('Your email address was restored');
    expect(served.followed).toEqual([{ link: 'undo-email-change', token: tokens.good }]);
  });

  test('the pages work behind a proxy that strips a path', async () => {
    await newPage(withoutScript);
    const { baseUrl } = served;
    await page.route(`${baseUrl}/**`, (route, request) => {
      const { pathname, search } = new URL(request.url());
      if (!pathname.startsWith('/tenant/')) return route.abort();
      return route.continue({ url: `${baseUrl}${pathname.slice('/tenant'.length)}${search}` });
    });
    await open('reset-password', tokens.good, '/tenant');
    await set('password1');
    await set(password);
    expect([await heading(), page.url()]).toEqual([
      'Your password was reset',
      `${baseUrl}/tenant/reset-password/confirm`,
    ]);
  });
});

interface Violation {
  id: string;
  nodes: { html: string }[];
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Runs axe through the debugger, which the page's policy does not apply to. */
async function violations(): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate<{ violations: Violation[]; passes: unknown[] }>('axe.run(document)');
  expect(found.passes.length).toBeGreaterThan(10);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** For people; no test compares the screenshots. */
const pathOf = (name: string) => fileURLToPath(new URL(`screenshots/${name}.png`, import.meta.url));

const screens = { phone: phone.viewport, desktop: { width: 1280, height: 800 } };

test.each(Object.keys(states))(
  '%s: no accessibility violations, no policy violations and no horizontal scrolling',
  async (state) => {
    await newPage(phone);
    await states[state]?.();
    expect([served.baseUrl, limited.baseUrl]).toContain(new URL(page.url()).origin);
    expect(await heading()).toBe(headings[state]);
    for (const [screen, size] of Object.entries(screens))
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme });
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
        await page.screenshot({ path: pathOf(`link-${state}-${screen}-${colorScheme}`) });
        expect([screen, colorScheme, await violations()]).toEqual([screen, colorScheme, []]);
      }
    expect(new Set(watched.requests.map((url) => new URL(url).origin))).toEqual(new Set([new URL(page.url()).origin]));
    expect(problems()).toEqual([]);
  },
);

test('axe detects violations, and the CSP blocks scripts', async () => {
  await newPage();
  await open('reset-password', tokens.good);
  await page.evaluate(
    `document.querySelector('label').remove(); document.querySelector('h1').style.color = '#fafafa';`,
  );
  const found = (await violations()).map((violation) => violation.split(':')[0]);
  expect(new Set(found)).toEqual(new Set(['color-contrast', 'label', 'label-title-only']));
  const blocked = page.waitForEvent('console', (message) =>
    message.text().startsWith('securitypolicyviolation script-src'),
  );
  await page.evaluate(`document.body.append(Object.assign(document.createElement('script'), { text: '1' }))`);
  await blocked;
  expect(problems()).not.toEqual([]);
});
