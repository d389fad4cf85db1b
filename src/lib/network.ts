import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

declare const brand: unique symbol;

/** The network of a client, about one household or office: an IPv4 /24 or an IPv6 /56, as text. */
export type Network = string & { readonly [brand]: 'Network' };

/**
 * Parses the address that a socket or a proxy reports. Removes the port and converts IPv4-mapped IPv6 to IPv4. Undefined for other
 * text, because a header can contain anything.
 */
export function parseAddress(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  const unzoned = bare.replace(/%.*$/s, '');
  return isIP(unzoned) === 0 ? undefined : ipaddr.process(unzoned).toString();
}

/** The network of an address that `parseAddress` returned. */
export function networkOf(address: string): Network {
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return `${parsed.octets.slice(0, 3).join('.')}.0/24` as Network;
  const [a = 0, b = 0, c = 0, d = 0] = parsed.parts;
  return `${[a, b, c, d & 0xff00].map((group) => group.toString(16)).join(':')}::/56` as Network;
}

/**
 * The network that one customer can hold: an IPv4 /24 or an IPv6 /48. Providers assign a /48 to everyone who asks for it, and it has
 * 256 networks of `networkOf`.
 */
export const siteOf = (network: Network): Network => network.replace(/:[^:]*::\/56$/, '::/48') as Network;

/** The network of an IPv6 provider: a /32, which is the smallest that a provider receives. Undefined for IPv4. */
export const providerOf = (network: Network): Network | undefined => {
  const match = /^([^:]+:[^:]+):[^:]+:[^:]+::\/56$/.exec(network);
  return match ? (`${match[1]}::/32` as Network) : undefined;
};

/** The key of rate limits: an IPv4 address, or an IPv6 /56, because one household has many addresses of it. */
export const countedAddress = (address: string): string =>
  ipaddr.IPv4.isValidFourPartDecimal(address) ? address : networkOf(address);
