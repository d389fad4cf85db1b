import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

declare const brand: unique symbol;

/** The network of a client, about one household or office: an IPv4 /24 or an IPv6 /56, as text. */
export type Network = string & { readonly [brand]: 'Network' };

/**
 * Parses the address that a socket or a proxy reports. Removes quotes (as in `Forwarded`, RFC 7239) and the port, and
 * converts IPv4-mapped IPv6 to IPv4. Undefined for other text, because a header can contain anything.
 */
export function parseAddress(text: string): string | undefined {
  const plain = text.trim().replace(/^"(.*)"$/s, '$1');
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(plain)?.[1] ?? /^([\d.]+):\d+$/.exec(plain)?.[1] ?? plain;
  const unzoned = bare.replace(/%.*$/s, '');
  return isIP(unzoned) === 0 ? undefined : ipaddr.process(unzoned).toString();
}

/** Parses an address or a CIDR. IPv4-mapped IPv6 becomes IPv4. */
function parseNetwork(text: string): [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number] {
  const [address, bits] = ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${isIP(text) === 6 ? 128 : 32}`);
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96;
  return isMapped ? [address.toIPv4Address(), bits - 96] : [address, bits];
}

/** Whether text is an IP address or a CIDR. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const maxBits = isIP(address) === 6 ? 128 : 32;
  const isAddress = isIP(address) > 0 && !address.includes('%');
  return isAddress && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= maxBits));
}

/** The first and the last address of a network; they are equal for a single address. */
export interface AddressRange {
  first: string;
  last: string;
}

/** The addresses of a network that `isNetwork` accepts, as `parseAddress` writes them. IPv4-mapped IPv6 becomes IPv4. */
export function addressRangeOf(network: string): AddressRange {
  const [address, bits] = parseNetwork(network);
  const family = address instanceof ipaddr.IPv4 ? ipaddr.IPv4 : ipaddr.IPv6;
  const cidr = `${address.toString()}/${bits}`;
  return {
    first: family.networkAddressFromCIDR(cidr).toString(),
    last: family.broadcastAddressFromCIDR(cidr).toString(),
  };
}

/** Returns a function that checks whether an address of `parseAddress` is in one of these networks: addresses and CIDRs. */
export function makeIsInNetworks(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map(parseNetwork);
  return (address) => {
    const parsed = ipaddr.parse(address);
    return ranges.some(([range, bits]) => parsed.kind() === range.kind() && parsed.match(range, bits));
  };
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
export const customerNetworkOf = (network: Network): Network => network.replace(/:[^:]*::\/56$/, '::/48') as Network;

/** The network of an IPv6 provider: a /32, which is the smallest that a provider receives. Undefined for IPv4. */
export const providerNetworkOf = (network: Network): Network | undefined => {
  const match = /^([^:]+:[^:]+):[^:]+:[^:]+::\/56$/.exec(network);
  return match ? (`${match[1]}::/32` as Network) : undefined;
};

/** The key of rate limits: an IPv4 address, or an IPv6 /56, because one household has many addresses of it. */
export const countedAddress = (address: string): string =>
  ipaddr.IPv4.isValidFourPartDecimal(address) ? address : networkOf(address);

/** Schemes whose pages browsers give the origin `null`, or none. */
const schemesWithoutOrigin = ['about', 'blob', 'data', 'file', 'ftp', 'javascript', 'ws', 'wss'];

/** An origin of a web view or a browser extension: `capacitor://localhost`, `moz-extension://<uuid>`. */
const isAppOrigin = (text: string): boolean => {
  const [, scheme = 'file'] = /^([a-z][a-z\d+.-]*):\/\/[\w.-]+(?::\d{1,5})?$/.exec(text) ?? [];
  return !schemesWithoutOrigin.includes(scheme);
};

/** Whether a browser sends exactly this text in `Origin`, other than `null`. */
export const isOrigin = (text: string): boolean =>
  /^https?:/.test(text)
    ? !text.includes('*') && URL.canParse(text) && new URL(text).origin === text
    : isAppOrigin(text);

/** Whether only programs on the same machine can answer at this URL, so that no network can read or change anything. */
export const isLoopback = (url: string): boolean =>
  /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
