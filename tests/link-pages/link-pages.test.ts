import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { send, type Sent } from '../http/wire.ts';
import { serveLinks, tokens } from '../support/links.ts';

const links = ['verify-email', 'reset-password', 'undo-email-change'];
const password = 'correct horse battery staple';

let served: Awaited<ReturnType<typeof serveLinks>>;
beforeAll(async () => void (served = await serveLinks()));
afterAll(() => served.close());
beforeEach(() => void (served.followed.length = 0));

const get = (path: string) => send(served.baseUrl, path);

const type = 'application/x-www-form-urlencoded';
const post = (path: string, body: string, sent: Sent = {}) =>
  send(served.baseUrl, path, {
    method: 'POST',
    body,
    ...sent,
    headers: { 'content-type': type, ...sent.headers },
  });

const confirm = (link: string, fields: Record<string, string>) =>
  post(`/${link}/confirm`, new URLSearchParams(fields).toString());

const headingOf = (page: string) => /<h1>([^<]*)<\/h1>/.exec(page)?.[1];
const titleOf = (page: string) => /<title>([^<]*)<\/title>/.exec(page)?.[1];
const tokenOf = (page: string) => /<input type="hidden" name="token" value="([^"]*)"/.exec(page)?.[1];
const actionOf = (page: string) => /<form method="post" action="([^"]*)"/.exec(page)?.[1];

describe.each(links)('GET /%s', (link) => {
  test('returns the form with the token each time and spends nothing', async () => {
    const tracked = `/${link}?utm_source=mail&utm_source=app&=&token=${tokens.good}&fbclid=x`;
    for (const path of [`/${link}?token=${tokens.good}`, tracked])
      for (let time = 0; time < 3; time += 1) {
        const { status, text } = await get(path);
        expect([status, tokenOf(text), actionOf(text)]).toEqual([200, tokens.good, `${link}/confirm`]);
      }
    expect(served.followed).toEqual([]);
  });

  test.each([
    '',
    '?token=',
    '?token=kto_short',
    `?token=${tokens.good}x`,
    `?token=${tokens.good.slice(0, -1)}`,
    `?token=${tokens.good}&token=${tokens.good}`,
    `?token[]=${tokens.good}`,
    `?Token=${tokens.good}`,
    '?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E',
    `?token=%22%3E%3Cscript%3E${'x'.repeat(80)}`,
    '?token=%ff%00',
    '?token=%',
  ])('%s returns 400 and says what to do', async (query) => {
    const { status, text } = await get(`/${link}${query}`);
    expect([status, headingOf(text)]).toEqual([400, 'This link is incomplete']);
    expect(text).toContain('Open the link in the email again.');
    expect(text).not.toMatch(/<script|<form|alert\(/);
  });

  test('supports HEAD, and GET of the confirm path returns the form', async () => {
    const path = `/${link}?token=${tokens.good}`;
    const [{ headers }, head] = [await get(path), await send(served.baseUrl, path, { method: 'HEAD' })];
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', headers['content-length']]);
    expect(headingOf((await get(`/${link}/confirm`)).text)).toBe('This link is incomplete');
    expect(actionOf((await get(`/${link}/confirm?token=${tokens.good}`)).text)).toBe('confirm');
  });
});

describe.each(links)('POST /%s/confirm', (link) => {
  const fields = (token: string) => ({ token, new_password: password });

  test('spends the token and says what happened', async () => {
    const { status, text } = await confirm(link, fields(tokens.good));
    expect([status, headingOf(text)]).toEqual([
      200,
      expect.stringMatching(/^Your (email address is verified|password was reset|email address was restored)$/),
    ]);
    expect(text).not.toMatch(/<form|kto_/);
    const expected = link === 'reset-password' ? { newPassword: password } : {};
    expect(served.followed).toEqual([{ link, token: tokens.good, ...expected }]);
  });

  test.each([
    ['invalid', 400, 'This link is no longer valid', false],
    ['busy', 503, 'The service is busy', true],
    ['down', 503, 'The service is unavailable', true],
    ['faulty', 500, 'Something went wrong', false],
  ] as const)('returns a page for the error: %s', async (state, status, heading, again) => {
    const { status: actualStatus, headers, text } = await confirm(link, fields(tokens[state]));
    expect([actualStatus, headingOf(text), titleOf(text)]).toEqual([status, heading, `Error: ${heading}`]);
    expect([tokenOf(text), actionOf(text)]).toEqual(again ? [tokens[state], 'confirm'] : [undefined, undefined]);
    expect(text).toContain('<p role="alert">');
    expect(text).not.toContain('secret');
    expect(text.includes(String(headers['x-request-id']))).toBe(state === 'faulty');
    expect(text).not.toContain(password);
  });

  test.each([
    ['busy', 'Wait 5 seconds, then try again.', '5'],
    ['down', 'Wait 1 second, then try again.', '1'],
  ] as const)('says how long to wait: %s', async (state, words, seconds) => {
    const { headers, text } = await confirm(link, fields(tokens[state]));
    expect(text).toContain(words);
    expect(headers['retry-after']).toBe(seconds);
  });

  test.each([
    ['no token', `new_password=${password}`, 400, 'This link is incomplete'],
    ['a hostile token', 'token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E', 400, 'This link is incomplete'],
    ['two tokens', `token=${tokens.good}&token=${tokens.good}`, 400, 'Invalid request'],
    ['an invalid encoding', 'token=%zz', 400, 'Invalid request'],
    ['more than 16 KiB', `token=${tokens.good}&new_password=${'x'.repeat(17_000)}`, 413, 'Invalid request'],
  ])('returns a page for %s and spends nothing', async (_, body, status, heading) => {
    const { status: actualStatus, headers, text } = await post(`/${link}/confirm`, body);
    expect([actualStatus, headers['content-type'], headingOf(text)]).toEqual([
      status,
      'text/html; charset=utf-8',
      heading,
    ]);
    expect(text).not.toMatch(/<script|alert\(|<form/);
    expect(served.followed).toEqual([]);
  });

  test.each(['application/json', 'multipart/form-data; boundary=x', 'text/plain'])(
    'returns a page for the content type %s',
    async (given) => {
      const body = given === 'application/json' ? JSON.stringify({ token: tokens.good }) : `token=${tokens.good}`;
      const { status, text } = await post(`/${link}/confirm`, body, { headers: { 'content-type': given } });
      expect([status, headingOf(text), served.followed]).toEqual([415, 'Invalid request', []]);
    },
  );
});

describe('a new password', () => {
  const reset = (newPassword: string) => confirm('reset-password', { token: tokens.good, new_password: newPassword });
  const errorsIn = (page: string) =>
    [...(/role="alert">(.*?)<\/div>/s.exec(page)?.[1] ?? '').matchAll(/<p>([^<]*)<\/p>/g)].map(([, error]) => error);

  test.each([
    ['sh0rt!', ['The password is too short. Use at least 8 characters.']],
    ['', ['The password is too short. Use at least 8 characters.']],
    ['x'.repeat(129), ['The password is too long. Use at most 128 characters.']],
    ['password1', ['This is one of the most commonly used passwords, which attackers try first. Choose another one.']],
    ['long enough\0', ['The password must be valid Unicode text without NUL.']],
    ['x'.repeat(1025), ['The password must have at most 1024 characters.']],
  ])(
    'that violates the policy (%#) is rejected in the form, which keeps the token but not the password',
    async (given, errors) => {
      const { status, text } = await reset(given);
      expect([status, titleOf(text), errorsIn(text)]).toEqual([400, 'Error: Set a new password', errors]);
      expect([tokenOf(text), actionOf(text)]).toEqual([tokens.good, 'confirm']);
      const field = /<input\s+id="new_password"[^>]*>/.exec(text)?.[0] ?? '';
      expect(field).toMatch(/aria-invalid="true" aria-describedby="errors hint" autofocus/);
      expect(field).not.toMatch(/\bvalue=/);
      expect(given !== '' && text.includes(given)).toBe(false);
      expect(served.followed).toEqual([]);
    },
  );

  test('is required', async () => {
    expect(errorsIn((await confirm('reset-password', { token: tokens.good })).text)).toHaveLength(1);
  });

  test('is not modified', async () => {
    const typed = ' a+b & "c" <d> 100% Zoë 😀 ';
    expect((await reset(typed)).status).toBe(200);
    expect(served.followed).toMatchObject([{ newPassword: typed }]);
  });

  test('has a field that password managers fill in and that does not truncate', async () => {
    const { text } = await get(`/reset-password?token=${tokens.good}`);
    const field = /<input\s+id="new_password"[^>]*>/.exec(text)?.[0] ?? '';
    for (const attribute of ['type="password"', 'autocomplete="new-password"', 'minlength="8"', 'required'])
      expect(field).toContain(attribute);
    expect(field).not.toMatch(/maxlength|aria-invalid|autofocus/);
  });
});

describe('every page', () => {
  const everyPage = () =>
    Promise.all([
      ...links.map((link) => get(`/${link}?token=${tokens.good}`)),
      get('/verify-email'),
      ...Object.values(tokens).map((token) => confirm('undo-email-change', { token })),
      confirm('reset-password', { token: tokens.good, new_password: 'short' }),
      confirm('reset-password', { token: tokens.good, new_password: password }),
      post('/verify-email/confirm', 'x'.repeat(17_000)),
    ]);

  test('is not stored, sends no referrer, and can only post its form to this origin', async () => {
    for (const { headers, text } of await everyPage()) {
      const style = /<style>(.*)<\/style>/s.exec(text)?.[1] ?? '';
      const hash = createHash('sha256').update(style).digest('base64');
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'content-security-policy': `default-src 'none';style-src 'sha256-${hash}';form-action 'self';base-uri 'none';frame-ancestors 'none'`,
      });
      expect(headers).not.toHaveProperty('set-cookie');
    }
  });

  test('has a language, a title, one heading and no scripts or external resources', async () => {
    for (const { text } of await everyPage()) {
      expect(text).toMatch(/^<!doctype html>\s*<html lang="en">/);
      expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1" />');
      expect(text).toContain('<meta name="robots" content="noindex" />');
      expect(titleOf(text)).toMatch(new RegExp(`^(Error: )?${headingOf(text)}$`));
      expect(text.split('<h1').length).toBe(2);
      expect(text).toContain('<p class="site soft">auth.example.com</p>');
      expect(text).not.toMatch(/<script|javascript:|\bon\w+=|\bsrc=|\bhref=|url\(|@import|https?:/);
    }
  });

  test('does not log tokens and passwords', async () => {
    const responses = await everyPage();
    for (const { headers, status } of responses) {
      const lines = await served.linesOf(headers['x-request-id']);
      expect(lines.at(-1)).toMatchObject({ status, route: expect.stringMatching(/^\/[a-z-]+(\/confirm)?$/) });
      expect(JSON.stringify(lines)).not.toMatch(/kto_|correct horse/);
    }
  });
});

test('too many invalid links from one address show how long to wait, and valid links still work', async () => {
  const strict = await serveLinks({ mail: { count: 1, windowSeconds: 3600 } });
  try {
    const post = (path: string, token: string) =>
      send(strict.baseUrl, path, { method: 'POST', headers: { 'content-type': type }, body: `token=${token}` });
    expect((await post('/verify-email/confirm', tokens.invalid)).status).toBe(400);
    const { status, headers, text } = await post('/undo-email-change/confirm', tokens.invalid);
    expect([status, headingOf(text), headers['cache-control']]).toEqual([429, 'Too many attempts', 'no-store']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(3500);
    expect(text).toContain('Wait 60 minutes, then open the link in the email again.');
    expect(strict.followed).toHaveLength(0);
    expect((await send(strict.baseUrl, `/verify-email?token=${tokens.good}`)).status).toBe(200);
    expect((await post('/verify-email/confirm', tokens.good)).status).toBe(200);
    expect(strict.followed).toHaveLength(1);
  } finally {
    await strict.close();
  }
});
