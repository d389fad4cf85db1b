import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  networkOf as networkOfAddress,
  parseAddress,
  providerNetworkOf,
  customerNetworkOf,
} from '../../src/lib/network.ts';

const networkOf = (text: string) => networkOfAddress(parseAddress(text) ?? '');

test.each([
  ['203.0.113.7', '203.0.113.0/24'],
  ['0.0.0.0', '0.0.0.0/24'],
  ['255.255.255.255', '255.255.255.0/24'],
  ['::ffff:203.0.113.7', '203.0.113.0/24'],
  ['::FFFF:203.0.113.7', '203.0.113.0/24'],
  ['2001:db8:1:2345:6789:abcd:ef01:2345', '2001:db8:1:2300::/56'],
  ['2001:0db8:0001:2345:6789:abcd:ef01:2345', '2001:db8:1:2300::/56'],
  ['2001:DB8:1:2345::', '2001:db8:1:2300::/56'],
  ['2001:db8::1', '2001:db8:0:0::/56'],
  ['2001:db8:1::2:3', '2001:db8:1:0::/56'],
  ['2001:db8:1:ff:0:0:0:1', '2001:db8:1:0::/56'],
  ['2001:db8:1:100::', '2001:db8:1:100::/56'],
  ['1::', '1:0:0:0::/56'],
  ['::1', '0:0:0:0::/56'],
  ['::', '0:0:0:0::/56'],
  ['::5:6:7:8', '0:0:0:0::/56'],
  ['::4:5:6:7:8', '0:0:0:0::/56'],
  ['::1204:5:6:7:8', '0:0:0:1200::/56'],
  ['fe80::1%eth0', 'fe80:0:0:0::/56'],
  ['fe80::1%25en:0', 'fe80:0:0:0::/56'],
])('%s belongs to the network %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});

test.each([
  ['203.0.113.7', '203.0.113.0/24', undefined],
  ['2001:db8:1:2345::1', '2001:db8:1::/48', '2001:db8::/32'],
  ['2001:db8::1', '2001:db8:0::/48', '2001:db8::/32'],
  ['::1', '0:0:0::/48', '0:0::/32'],
])('%s belongs to the customer network %s and the provider network %s', (ip, site, provider) => {
  expect([customerNetworkOf(networkOf(ip)), providerNetworkOf(networkOf(ip))]).toEqual([site, provider]);
});

test('text that is not an IP address has no network', () => {
  for (const text of [
    '',
    'localhost',
    'unknown',
    '203.0.113',
    '1',
    '0x7f.1',
    '::g',
    '1.2.3.4.5',
    'a'.repeat(5000),
    '[::1',
  ])
    expect(parseAddress(text)).toBeUndefined();
});

test.each([
  ['203.0.113.7:443', '203.0.113.7'],
  ['[2001:DB8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['::ffff:cb00:7107', '203.0.113.7'],
  ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
])('%s is the address %s', (text, address) => {
  expect(parseAddress(text)).toBe(address);
});

describe('addresses', () => {
  test('share a network exactly within one IPv4 /24', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(octet, octet, octet, octet, octet, (a, b, c, d, e) => {
        expect(networkOf(`${a}.${b}.${c}.${d}`)).toBe(networkOf(`::ffff:${a}.${b}.${c}.${e}`));
        expect(networkOf(`${a}.${b}.${c}.${d}`)).not.toBe(networkOf(`${a}.${b}.${(c + 1) % 256}.${d}`));
      }),
    );
  });

  test('share a network exactly within one IPv6 /56, in every notation', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.integer({ min: 0, max: 0xff }), (groups, low) => {
        const write = (parts: number[]) => parts.map((part) => part.toString(16)).join(':');
        const network = networkOf(write(groups));
        const [a = 0, b = 0, c = 0, d = 0] = groups;
        expect(networkOf(write([a, b, c, (d & 0xff00) | low, 1, 2, 3, 4]))).toBe(network);
        expect(networkOf(`${write([a, b, c, d])}::9`)).toBe(network);
        expect(networkOf(groups.map((part) => part.toString(16).padStart(4, '0').toUpperCase()).join(':'))).toBe(
          network,
        );
        expect(networkOf(write([a, b, c, d ^ 0x0100]) + '::')).not.toBe(network);
        expect(networkOf(write([a, b, c ^ 1, d]) + '::')).not.toBe(network);
      }),
    );
  });
});
