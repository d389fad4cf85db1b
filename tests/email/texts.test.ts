import { describe, expect, test } from '@jest/globals';
import { simpleParser } from 'mailparser';
import { type ApiKeysNotice, type EmailKind, linkPages } from '../../src/core/email/email-message.ts';
import { renderEmail } from '../../src/core/email/templates/render-email.ts';
import type { OneTimeTokenId } from '../../src/lib/ids.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';
import { DisplayName } from '../../src/core/users/user.ts';

const appUrl = 'https://app.example.com/account';
const text = 'kto_AaIEQX4gd-6jYVmVqHqWkvL1s3Vd6uUOtrX0hZVLDi7p0OeVYh1kqAcNWl8nNq4Jd0lJcXbGm0l2Jt1nRZrQ8A';
const kinds = Object.keys(linkPages) as EmailKind[];

const render = (kind: EmailKind, name = 'Ada Lovelace') =>
  renderEmail(
    {
      kind,
      to: 'ada@example.com' as EmailAddress,
      name,
      token: { id: '0197a1b0-6d3c-7e52-8c43-1b0c7a3f9d10' as OneTimeTokenId, text },
      newEmail: 'grace.hopper@example.org' as EmailAddress,
    },
    appUrl,
  );

/** Checks that tags are nested and closed, attributes quoted, and the rest escaped. */
function expectWellFormed(html: string): void {
  const open: string[] = [];
  const closed: [string | undefined, string][] = [];
  const rest = html.replace(/<(!doctype html|\/?[a-z]+)((?: [a-z-]+="[^"<>]*")*)>/g, (_, name: string) => {
    if (name.startsWith('/')) closed.push([open.pop(), name.slice(1)]);
    else if (!['!doctype html', 'meta', 'br'].includes(name)) open.push(name);
    return '';
  });
  expect(open).toEqual([]);
  expect(closed.filter(([opened, name]) => opened !== name)).toEqual([]);
  expect(rest).not.toMatch(/[<>"]|&(?!(amp|lt|gt|quot|#39);)/);
}

describe.each(kinds)('the email %s', (kind) => {
  test('has the same content in short lines of text and in HTML', () => {
    const email = render(kind);
    expect(email.subject).toMatch(/^[A-Z][\w' -]{10,50}$/);
    expect(email.subject).toBe(render(kind, 'Someone else').subject);
    expect(email.text).toMatch(kind === 'address_in_use' ? /^Hello,\n\n[A-Z]/ : /^Hello Ada Lovelace,\n\n[A-Z]/);
    expect(email.text).toContain('app.example.com/account');
    expect(email.text).toMatch(/wasn't you\b|didn't (request this|sign up)|may know your\s/);
    const long = email.text.split('\n').filter((line) => line.length > 72);
    expect(long.filter((line) => !line.startsWith(appUrl))).toEqual([]);
    expectWellFormed(email.html);
    expect(email.html).toContain('<html lang="en">');
    expect(email.html).not.toMatch(/<(img|script|style|link|iframe|form)\b|url\(|src=/);
    const words = (form: string) =>
      form
        .replaceAll(/<[^>]*>/g, ' ')
        .replaceAll('&#39;', "'")
        .split(/\s+/);
    const inHtml = words(email.html).join(' ');
    for (const paragraph of email.text.trimEnd().split('\n\n')) expect(inHtml).toContain(words(paragraph).join(' '));
  });

  test('contains only the link of its kind, below APP_URL, and its lifetime', () => {
    const { text: plain, html } = render(kind);
    const page = linkPages[kind];
    const link = `${appUrl}/${page}?token=${text}`;
    const lines = plain.split('\n').filter((line) => line.includes('token='));
    const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
    expect(lines).toEqual(page ? [link] : []);
    expect(links).toEqual(page ? [link, link] : []);
    expect(/within (1 hour|24 hours|72 hours)[:.]/.test(plain.replaceAll('\n', ' '))).toBe(page !== undefined);
  });

  test('has no link without a token', () => {
    const email = renderEmail({ kind, to: 'ada@example.com' as EmailAddress, name: 'Ada' }, appUrl);
    expect(email.text).not.toMatch(/token|undefined|within/);
    expect(email.html).not.toMatch(/<a |undefined/);
  });

  test('masks the new address', () => {
    const email = render(kind);
    expect(`${email.text}${email.html}`).not.toContain('grace.hopper');
    expect(email.text.includes('g…@example.org')).toBe(['email_change_asked', 'email_changed'].includes(kind));
  });

  test.each([
    '"><script>alert(1)</script>',
    'Click http://evil.test to win',
    'www.evil.test',
    'evil.test',
    'Visit Evil.Co now',
    'x@evil.test',
    'evil。test',
    'evil．test',
    'a/b',
    'A'.repeat(51),
    'Call 090012345',
    'Refund due, call 1-800-555-0199',
    'Call (08) 00 - 12 34',
    'Call 0 8 0 0 1 2',
  ])('does not greet with the name %s', (name) => {
    const email = render(kind, name);
    expect(email).toEqual(render(kind, 'x/y'));
    expect(email.text).toMatch(/^Hello,\n/);
  });

  test.each(['<img src=x onerror=alert(1)>', `Ada' onmouseover='x`, '&lt;b&gt;', 'A & "B" <C>'])(
    'escapes the name %s',
    (name) => {
      const { html, text } = render(kind, name);
      expectWellFormed(html);
      expect(html).not.toContain(name);
      expect(text.startsWith(kind === 'address_in_use' ? 'Hello,' : `Hello ${name},`)).toBe(true);
    },
  );
});

describe('the API keys in a security notice', () => {
  const key = (name: string, index = 0) => ({ name, prefix: `ktk_AZehsG8vfB${String(index).padStart(2, '0')}` });
  const notice = (kind: EmailKind, apiKeys: ApiKeysNotice) =>
    renderEmail({ kind, to: 'ada@example.com' as EmailAddress, name: 'Ada', apiKeys }, appUrl);

  test.each(['password_changed', 'password_reset', 'email_changed', 'email_change_undone'] as const)(
    'are listed by name and prefix in %s',
    (kind) => {
      const { text: plain, html } = notice(kind, { areRevoked: true, keys: [key('Nightly report')] });
      for (const form of [plain, html]) {
        expect(form).toContain('API keys of your account were revoked:');
        expect(form).toContain('- Nightly report (ktk_AZehsG8vfB00…)');
      }
      expectWellFormed(html);
    },
  );

  test('are said to work if they were not revoked, and are not mentioned if there are none', () => {
    const { text: working } = notice('password_changed', { areRevoked: false, keys: [key('Nightly report')] });
    expect(working.replaceAll('\n', ' ')).toContain("still work. Revoke those that you don't recognize:");
    expect(notice('password_changed', { areRevoked: false, keys: [] }).text).not.toContain('API key');
  });

  test.each(['Call 1-800-555-0199', 'evil.test', 'A'.repeat(51)])('have no name that invites contact: %s', (name) => {
    const { text: plain } = notice('password_changed', { areRevoked: false, keys: [key(name)] });
    expect(plain).toContain('\n- ktk_AZehsG8vfB00…\n');
    expect(plain).not.toContain(name);
  });

  test('are at most ten', () => {
    const keys = Array.from({ length: 12 }, (_, index) => key('Report', index));
    const { text: plain } = notice('password_changed', { areRevoked: false, keys });
    expect([plain.match(/ktk_/g)?.length, plain.includes('\n- and 2 more\n')]).toEqual([10, true]);
  });
});

test.each(['Ada', "Miles O'Brien", 'Dr. José Müller-Lüdenscheidt', 'J. R. R. Tolkien', '山田 太郎', 'علي', 'Zoë'])(
  'greets with the name %s',
  (name) => {
    expect(DisplayName.parse(name)).toBe(name);
    expect(render('verify_email', name).text).toMatch(new RegExp(`^Hello ${name},\n`));
    expectWellFormed(render('verify_email', name).html);
  },
);

test('the link survives the conversion of HTML to text', async () => {
  const { text: plain, html } = render('reset_password');
  const source = `Content-Type: text/html; charset=utf-8\r\n\r\n${html}`;
  const parsed = await simpleParser(source);
  expect(parsed.text).toContain(`${appUrl}/reset-password?token=${text}`);
  expect(plain).toContain(`\n\n${appUrl}/reset-password?token=${text}\n\n`);
});
