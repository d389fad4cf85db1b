import { expect, jest, test } from '@jest/globals';
import { password, startApp, type Settings } from '../harness.ts';

jest.setTimeout(30_000);

/** What the list tells of a session that was opened with these headers. */
async function openedWith(settings: Settings, headers: Record<string, string>) {
  const app = await startApp(settings);
  const { email } = await app.register();
  const { access_token: token } = (await app.call('post', '/login', { body: { email, password }, headers })).body;
  const { sessions } = (await app.get('/sessions', token)).body;
  await app.close();
  return (sessions as { current: boolean; ip: string; user_agent: string }[]).find(({ current }) => current);
}

const forwarded = { 'x-forwarded-for': '198.51.100.1, 203.0.113.7' };

test.each([
  ['off', '127.0.0.1'],
  ['1', '203.0.113.7'],
  ['2', '198.51.100.1'],
  ['127.0.0.0/8', '203.0.113.7'],
  ['127.0.0.0/8, 203.0.113.0/24', '198.51.100.1'],
  ['192.0.2.0/24', '127.0.0.1'],
])('with TRUST_PROXY=%s a session was opened from %s', async (trust, ip) => {
  expect((await openedWith({ TRUST_PROXY: trust }, forwarded))?.ip).toBe(ip);
});

test.each([
  ['203.0.113.7:51234', '203.0.113.7'],
  ['[2001:DB8::7]:51234', '2001:db8::7'],
  ['unknown', '127.0.0.1'],
  ['9'.repeat(5000), '127.0.0.1'],
  ['<script>alert(1)</script>', '127.0.0.1'],
])('a trusted proxy that says %.30s means %s', async (said, ip) => {
  expect((await openedWith({ TRUST_PROXY: '1' }, { 'x-forwarded-for': said }))?.ip).toBe(ip);
});

test('a mapped IPv4 address is told as IPv4', async () => {
  const headers = { 'x-forwarded-for': '::ffff:203.0.113.9' };
  expect((await openedWith({ TRUST_PROXY: '1' }, headers))?.ip).toBe('203.0.113.9');
});

test('the user agent is kept, at most 256 characters of it', async () => {
  expect((await openedWith({}, { 'user-agent': 'Curious/1.0' }))?.user_agent).toBe('Curious/1.0');
  const long = `Curious/${'9'.repeat(500)}`;
  expect((await openedWith({}, { 'user-agent': long }))?.user_agent).toBe(long.slice(0, 256));
});
