import { describe, expect, test } from '@jest/globals';
import { html } from '../../src/lib/html.ts';

describe('html', () => {
  test.each([
    ['<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    [`" onfocus='x'`, '&quot; onfocus=&#39;x&#39;'],
    ['&lt;', '&amp;lt;'],
    ['</style><!--', '&lt;/style&gt;&lt;!--'],
    ['$& $1 `${1}`', '$&amp; $1 `${1}`'],
    ['Zoë 😀', 'Zoë 😀'],
  ])('escapes %s', (text, escaped) => {
    expect(html`<p title="${text}">${text}</p>`.markup).toBe(`<p title="${escaped}">${escaped}</p>`);
  });

  test('does not escape its own output again, and joins lists', () => {
    const items = ['<a>', '<b>'].map((item) => html`<b>${item}</b>`);
    expect(html`<i>${items}${7}${''}</i>`.markup).toBe('<i><b>&lt;a&gt;</b><b>&lt;b&gt;</b>7</i>');
  });
});
