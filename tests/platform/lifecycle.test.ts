import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { requireFreePort } from '../../src/platform/process/lifecycle.ts';

test.each(['127.0.0.1', '0.0.0.0'])('a port in use on %s is reported, and a free one is never opened', async (host) => {
  const other = createServer().listen(0, host);
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(requireFreePort(host, port)).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  other.close();
  await once(other, 'close');
  await expect(requireFreePort(host, port)).resolves.toBeUndefined();
});

test('port 0 and a host that this machine does not have are left to listen', async () => {
  await expect(requireFreePort('127.0.0.1', 0)).resolves.toBeUndefined();
  await expect(requireFreePort('name.invalid', 80)).resolves.toBeUndefined();
});
