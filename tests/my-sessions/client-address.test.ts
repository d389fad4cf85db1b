import { expect, jest, test } from '@jest/globals';
import { password, startApp, type Settings } from '../harness.ts';

jest.setTimeout(30_000);

/** The entry in the list of a session whose login had these headers. */
async function sessionOfLogin(settings: Settings, headers: Record<string, string>) {
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
])('with TRUST_PROXY=%s the address of a session is %s', async (trust, ip) => {
  expect((await sessionOfLogin({ TRUST_PROXY: trust }, forwarded))?.ip).toBe(ip);
});

test.each([
  ['198.51.100.1, 203.0.113.7:443', '203.0.113.0/24', '198.51.100.1'],
  ['198.51.100.1:50000,"203.0.113.7:443"', '203.0.113.7', '198.51.100.1'],
  ['2001:db8:1::1, [2001:db8:ff::1]:443', '2001:db8:ff::/48', '2001:db8:1::1'],
  ['"[2001:db8:1::1]:50000", "[2001:db8:ff::1]"', '2001:db8:ff::/48', '2001:db8:1::1'],
  ['198.51.100.1, [::ffff:203.0.113.7]:443', '203.0.113.0/24', '198.51.100.1'],
  ['198.51.100.1, 203.0.113.7', '::ffff:203.0.113.0/120', '198.51.100.1'],
  ['198.51.100.1, 203.0.114.7:443', '203.0.113.0/24', '203.0.114.7'],
])('X-Forwarded-For %s behind proxies in %s gives %s', async (value, proxies, ip) => {
  const settings = { TRUST_PROXY: `127.0.0.1, ${proxies}` };
  expect((await sessionOfLogin(settings, { 'x-forwarded-for': value }))?.ip).toBe(ip);
});

test.each([
  ['203.0.113.7:51234', '203.0.113.7'],
  ['[2001:DB8::7]:51234', '2001:db8::7'],
  ['unknown', '127.0.0.1'],
  ['9'.repeat(5000), '127.0.0.1'],
  ['<script>alert(1)</script>', '127.0.0.1'],
])('X-Forwarded-For %.30s of a trusted proxy gives %s', async (value, ip) => {
  expect((await sessionOfLogin({ TRUST_PROXY: '1' }, { 'x-forwarded-for': value }))?.ip).toBe(ip);
});

test('an IPv4-mapped address is shown as IPv4', async () => {
  const headers = { 'x-forwarded-for': '::ffff:203.0.113.9' };
  expect((await sessionOfLogin({ TRUST_PROXY: '1' }, headers))?.ip).toBe('203.0.113.9');
});

test('the user agent is stored, up to 256 characters', async () => {
  expect((await sessionOfLogin({}, { 'user-agent': 'Browser/1.0' }))?.user_agent).toBe('Browser/1.0');
  const long = `Browser/${'9'.repeat(500)}`;
  expect((await sessionOfLogin({}, { 'user-agent': long }))?.user_agent).toBe(long.slice(0, 256));
});
