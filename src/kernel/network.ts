declare const brand: unique symbol;

/** A client's network: an IPv4 /24 or an IPv6 /56, as text. One household or office, not one machine. */
export type Network = string & { readonly [brand]: 'Network' };

/** The network of an address that the socket or a trusted proxy gave; anything else is its own network. */
export function networkOf(ip: string): Network {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/i.exec(ip);
  if (v4) return `${v4[1]}.0/24` as Network;
  if (!ip.includes(':')) return ip as Network;
  const [head = '', tail = ''] = (ip.split('%')[0] ?? '').toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const groups = ip.includes('::')
    ? [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back]
    : front;
  const [a = 0, b = 0, c = 0, d = 0] = groups.slice(0, 4).map((group) => Number.parseInt(group, 16));
  return `${[a, b, c, d & 0xff00].map((group) => group.toString(16)).join(':')}::/56` as Network;
}
